"""Files of other programs, training on them and evaluation: small sizes, and what is refused."""

import dataclasses
import itertools
import json
import typing
from pathlib import Path

import jax
import numpy as np
import pytest

import jaxspin as js
from experiments.accuracy import cluster_size, features, features_models, fit, locality
from experiments.checks import evaluate
from experiments.stages import Bispectrum, Electrons, FilledClusters, Moments, Network
from experiments.stages.by_kind import split
from jaxspin.descriptors import NearEnds
from jaxspin.training import data_files, random_configurations
from jaxspin.training.data_files import known_electrons

pytestmark = pytest.mark.usefixtures("optax_mixes_types")

PARAMS = {"lattice": "square 6x6 periodic", "hopping": 1.0, "coupling": 2.0, "filling": 0.5}


@pytest.fixture
def written(tmp_path):
    """A file of a nearest-neighbour model's fields, in two kinds."""

    def write(name="data.npz", params=PARAMS, **changes):
        lattice = js.square(6)
        spins = random_configurations(lattice, 6, key=jax.random.key(0))
        field = jax.vmap(js.Exchange(lattice, 0.1).field)(spins)
        kind = np.array(["hot", "cold"])[[0, 0, 0, 1, 1, 1]]
        arrays = {
            "spins": np.array(spins),
            "field": np.array(field),
            "kind": kind,
            "params": json.dumps(params),
        } | changes
        np.savez(tmp_path / name, **arrays)
        return tmp_path / name

    return write


def config(data, output, descriptor=None, seeds=(0, 1)):
    training = js.TrainConfig(steps=4, batch=2, evaluate_every=2, validation=0.3)
    network = Network(descriptor or Moments(hops=1, moments=4), hidden=(4,))
    return fit.Config(data=data, output=output, network=network, training=training, seeds=seeds)


def test_a_fit_keeps_what_it_held_out_and_is_evaluated_from_its_folder(written, tmp_path):
    data = written()
    summary = fit.run(config(data, tmp_path / "out"))
    stored = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert stored["runs"] == json.loads(js.io.to_json(summary["runs"]))
    held = stored["runs"][0]["held out"]
    assert len(held) == 2
    assert held[0] < 3 <= held[1]
    assert (tmp_path / "out" / "fit.png").stat().st_size > 1000
    (hot,) = evaluate.run(evaluate.Config(tmp_path / "out" / "forcefield", (data,), (held[0],)))
    assert hot["kind"] == "hot"
    assert hot["torque error"] == pytest.approx(stored["runs"][0]["errors"]["hot"]["torque"], rel=1e-5)
    with pytest.raises(FileExistsError, match="choose another folder"):
        fit.run(config(data, tmp_path / "out"))


def test_the_bispectrum_needs_no_couplings(written, tmp_path):
    data = written(params={"lattice": "square"})
    with pytest.raises(ValueError, match=r"do not name the coupling .*; use network\.descriptor:bispectrum"):
        fit.run(config(data, tmp_path / "out"))
    assert not (tmp_path / "out").exists()
    chosen = Bispectrum(radius=1.0, polynomials=False)
    assert fit.run(config(data, tmp_path / "out", chosen, (0,)))["features"] > 0


def test_a_fit_on_electrons_takes_their_settings_and_needs_the_filling(written, tmp_path):
    chosen = FilledClusters(hops=1, recursion=4, smearing=0.3, surroundings=0)
    fit.run(config(written(), tmp_path / "out", chosen, (0,)))
    model = js.forcefield.load(tmp_path / "out" / "forcefield")
    expected = {"hops": 1, "steps": 4, "temperature": 0.3, "surroundings": 0}
    assert model.descriptor == js.LocalElectrons(js.square(6), 2.0, filling=0.5, **expected)
    # without energies in the file the estimate stays as it is
    assert float(model.shift) == 0.0
    without = written("without.npz", {name: value for name, value in PARAMS.items() if name != "filling"})
    with pytest.raises(ValueError, match=r"do not name the filling .*; use network\.descriptor:moments"):
        fit.run(config(without, tmp_path / "other", chosen, (0,)))
    assert not (tmp_path / "other").exists()


def test_the_fermi_level_is_one_feature_more_and_needs_the_filling(written, tmp_path):
    chosen = Moments(hops=1, moments=4, fermi_level=True)
    unknown = written("unknown.npz", {name: value for name, value in PARAMS.items() if name != "filling"})
    with pytest.raises(ValueError, match=r"leave out --network\.descriptor\.fermi-level"):
        fit.run(config(unknown, tmp_path / "out", chosen, (0,)))
    moments = js.LocalMoments(js.square(6), 2.0, hops=1, moments=4)
    assert fit.run(config(written(), tmp_path / "out", chosen, (0,)))["features"] == moments.n_features + 1
    model = js.forcefield.load(tmp_path / "out" / "forcefield")
    assert model.descriptor.filling == 0.5


def small_table(data, output, **changes):
    """Two trainings of a few steps: all of the configurations, and half of them."""
    training = js.TrainConfig(steps=4, batch=2, evaluate_every=2, validation=0.4)
    small = {"parts": ("data",), "radius": 1.0, "bond_radius": 0.0, "hidden": (4,), "fractions": (0.5,), "seeds": (0,)}
    small |= {"most": 4}
    return features.Config(data=(data,), output=output, training=training, **(small | changes))


def without_times(rows):
    """What does not depend on the machine."""
    return [{k: v for k, v in run.items() if k != "seconds"} for row in rows for run in row["runs"]]


def test_a_table_that_was_killed_and_resumed_is_unbroken(written, tmp_path, monkeypatch):
    data, train, calls = written(), js.train, []

    def killed(*args, **settings):
        calls.append(args)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return train(*args, **settings)

    monkeypatch.setattr(js, "train", killed)
    with pytest.raises(KeyboardInterrupt):
        features.run(small_table(data, tmp_path / "broken"))
    with pytest.raises(FileExistsError, match="unfinished run; go on with --resume"):
        features.run(small_table(data, tmp_path / "broken"))
    with pytest.raises(ValueError, match="holds other settings"):
        features.run(small_table(data, tmp_path / "broken", seeds=(1,), resume=True))
    with pytest.raises(ValueError, match="give one of them"):
        features.run(small_table(data, tmp_path / "broken", overwrite=True, resume=True))
    resumed = features.run(small_table(data, tmp_path / "broken", resume=True))
    assert len(calls) == 3
    unbroken = features.run(small_table(data, tmp_path / "whole"))
    assert without_times(resumed["rows"]) == without_times(unbroken["rows"])
    assert [row["configurations"] for row in unbroken["rows"]] == [2, 4]
    assert unbroken["rows"][0]["torque error"] != unbroken["rows"][1]["torque error"]
    folder = tmp_path / "broken"
    stored = json.loads((folder / "summary.json").read_text())
    assert stored["rows"] == json.loads(js.io.to_json(resumed["rows"]))
    assert (folder / "table.md").read_text().count("\n") == 4
    assert (folder / "features.png").stat().st_size > 1000


def test_each_feature_set_adds_one_family_of_features(written, tmp_path):
    """Zero lengths leave out bonds among neighbours and chiralities; the last set is the default descriptor."""
    config = small_table(written(), tmp_path, radius=2.0, bond_radius=1.5)
    lattice = js.square(7)
    sets = [config.bispectrum(lattice, **s) for s in features_models.feature_sets().values()]
    assert sets[-1] == js.Bispectrum(lattice, 2.0, 1.5)
    assert set(sets[0].labels) == {"bond1 A1", "bond2 A1", "bond3 A1"}
    families = [{(x.split()[-1].rstrip("123456"), x[:4]) for x in s.labels} for s in sets]
    around = [s.neighborhood for s in sets]
    for n, (fewer, more) in enumerate(itertools.pairwise(sets)):
        assert fewer.n_features < more.n_features
        assert (len(around[n].bonds) < len(around[n + 1].bonds)) == (n == 1)
        assert (len(around[n].triangles) < len(around[n + 1].triangles)) == (n == 2)
        for what in ("power", "phase", "bispectrum"):
            new = {x for x, _ in families[n + 1]} - {x for x, _ in families[n]}
            assert (what in new) == (n == {"power": 0, "phase": 3, "bispectrum": 4}[what])


def test_every_part_holds_the_default_model(written, tmp_path):
    """Which is trained once; `LocalMoments` needs the coupling."""
    chosen = {
        "parts": typing.get_args(features_models.Part),
        "radii": ((1.5, 1.0),),
        "clusters": ((1, 4),),
        "electrons": ((1, 0.2),),
    }
    config = small_table(written(), tmp_path, **chosen)
    data, params = features.load(config)
    table = config.models(data.lattice, params)
    (shared,) = set.intersection(*(set(part.values()) for part in table.values()))
    assert shared == features_models.Model(js.Bispectrum(data.lattice, 1.0, 0.0), (4,))
    sizes = {part: len(rows) for part, rows in table.items()}
    assert sizes == {"features": 6, "radius": 2, "moments": 4, "network": 3, "data": 2}
    *_, moments, level, electrons = table["moments"].values()
    assert level.descriptor == js.descriptors.AtFilling(moments.descriptor, filling=0.5)
    assert electrons.descriptor == js.LocalElectrons(data.lattice, 2.0, filling=0.5, hops=1, steps=7, temperature=0.2)
    without = {name: value for name, value in params.items() if name != "filling"}
    assert len(config.models(data.lattice, without)["moments"]) == 2
    with pytest.raises(ValueError, match="leave moments out of --parts"):
        config.models(data.lattice, {})
    other = written("other.npz", PARAMS | {"coupling": 3.0})
    with pytest.raises(ValueError, match="give files of one model"):
        features.load(dataclasses.replace(config, data=(*config.data, other)))


@pytest.mark.parametrize(
    ("changes", "remedy"),
    [({"seeds": ()}, "pass --seeds"), ({"held_out": 1.0}, "0.1 is usual"), ({"fractions": (1.0,)}, "0.25 0.5")],
)
def test_tables_that_cannot_be_made(changes, remedy, tmp_path):
    with pytest.raises(ValueError, match=remedy):
        small_table(tmp_path / "data.npz", tmp_path, **changes)


def test_other_electrons_are_refused_unless_asked_for(written, tmp_path):
    model = js.BehlerParrinello(descriptor=js.LocalMoments(js.square(6), 2.0, hops=1, moments=4), hidden=(4,))
    forcefield = js.forcefield.save(tmp_path / "forcefield", model, metadata={"params": PARAMS})
    other = written("other.npz", PARAMS | {"coupling": 3.0})
    with pytest.raises(ValueError, match=r"trained for 2.0; .*--other-electrons"):
        evaluate.run(evaluate.Config(forcefield, (other,)))
    assert evaluate.run(evaluate.Config(forcefield, (other,), other_electrons=True))


@pytest.mark.parametrize(
    ("changes", "remedy"),
    [
        ({"params": {}}, "begin params"),
        ({"params": "J"}, "a JSON object"),
        ({"params": PARAMS | {"lattice": "square 6x5"}}, "says 6x5 cells and its spins have 6x6"),
        (
            {"params": PARAMS | {"lattice": "square, open along the third axis"}},
            "not understood.*params\\['periodic'\\]",
        ),
        ({"params": PARAMS | {"lattice": "square open at its ends"}}, "not understood.*params\\['periodic'\\]"),
        ({"params": PARAMS | {"periodic": [True]}}, "a list of 2 of true and false"),
        ({"spins": np.ones((2, 3))}, "it needs"),
        ({"spins": np.ones((6, 6, 6, 1, 3))}, "normalize"),
        ({"field": np.full((6, 6, 6, 1, 3), np.nan)}, "leave it out"),
        ({"field": np.ones((6, 6, 6, 1, 2))}, "one B per spin"),
    ],
)
def test_bad_files_are_refused(written, changes, remedy):
    with pytest.raises(ValueError, match=remedy):
        data_files.read(written(**changes))


@pytest.mark.parametrize(
    ("text", "told", "expected"),
    [
        ("square", {}, (True, True)),
        ("square 6x6 periodic", {}, (True, True)),
        ("square 6x6 with open boundaries", {}, (False, False)),
        ("square 6x6, open along the first axis", {}, (False, True)),
        ("square 6x6, open along the first axis, periodic along the second", {}, (False, True)),
        ("square 6x6 periodic, open along the second axis", {}, (True, False)),
        ("square, open along the first and second axes", {}, (False, False)),
        ("square 6x6", {"periodic": [False, True]}, (False, True)),
    ],
)
def test_open_boundaries_stay_open(written, text, told, expected):
    path = written(params={"lattice": text, "coupling": 2.0} | told)
    assert data_files.read(path)[0].lattice.periodic == expected
    # of axes that the file does not speak of, what the kind that was given says
    given = data_files.read(path, lattice=js.square(9, periodic=(True, False)))[0].lattice
    assert given.cells == (6, 6)
    unsaid = {"square": (True, False), "square 6x6, open along the first axis": (False, False)}
    assert given.periodic == unsaid.get(text, expected)


def test_snapshots_at_even_steps_are_a_run_and_what_is_held_out_of_it_a_block(written):
    """As in the published double-exchange data: random ones are numbered too, and are no run."""
    spins = np.array(random_configurations(js.square(6), 46, key=jax.random.key(0)))
    kind = np.array(["random"] * 5 + ["quench"] * 41)
    step = np.array([1, 2, 3, 4, 5, *range(0, 41000, 1000)])
    data, _ = data_files.read(written(spins=spins, field=spins, kind=kind, step=step))
    assert np.asarray(data.run).tolist() == [*range(5), *[5] * 41]
    for seed in range(4):
        fitted, held, numbers = split(data, 0.1, seed)
        alone, block = numbers[:1], np.array(numbers[1:])
        assert alone[0] < 5
        assert len(block) == 4
        assert np.isin(np.diff(block), (1, block[-1] - block[0])).all() or set(block) & {5, 45}
        assert len(held) == 5
        learnt = [
            int(np.argmax(np.all(np.asarray(data.spins) == np.asarray(s), axis=(1, 2, 3, 4)))) for s in fitted.spins
        ]
        assert min(abs(row - other) for row in learnt if row >= 5 for other in block) == 5
        assert set(learnt) >= set(range(5)) - set(alone)


def test_electrons_are_compared_as_numbers_and_must_be_known():
    check, path = data_files.check_electrons, Path("file.npz")
    known = {"lattice": "square 30x30 periodic", "hopping": (1.0,), "coupling": 6.0, "filling": 0.485}
    check(path, {"lattice": "square", "hopping": 1, "coupling": 6, "filling": 0.485}, known)
    check(path, {"lattice": "square", "coupling": "6", "filling": np.float32(0.485)}, known)
    for changes, match in (
        ({"hopping": 2}, "has hopping 2, the force field was trained for"),
        ({"hopping": [1.0, 0.5]}, "has hopping"),
        ({"coupling": 5}, "has coupling 5"),
        ({"lattice": "triangular"}, "has lattice triangular"),
        ({"coupling": None}, "file.npz does not say for which coupling it is"),
        ({"temperature": 0.1}, "the force field does not say for which temperature it is; save it with metadata="),
        ({"hopping": None}, "file.npz does not say for which hopping it is"),
    ):
        with pytest.raises(ValueError, match=f"{match}.*--other-electrons"):
            check(path, {"lattice": "square", "coupling": 6, "filling": 0.485} | changes, known)
    with pytest.raises(ValueError, match="does not say for which coupling"):
        check(path, {"lattice": "square"}, {"lattice": "square"})
    with pytest.raises(ValueError, match=r"file.npz does not say for which hopping it is"):
        check(path, {"lattice": "square", "coupling": 6}, known | {"hopping": (1.0, 0.2)})
    uneven = {"lattice": "square", "hopping": None, "coupling": 6}
    with pytest.raises(ValueError, match="does not say for which hopping"):
        check(path, uneven, known_electrons(js.BehlerParrinello(js.square(8), hidden=(4,)), {"params": uneven}))


def test_labels_carry_their_electrons_to_the_check_of_a_force_field(tmp_path):
    ring = js.chain(8)
    moments = js.LocalMoments(ring, 2.0, hopping=(1.0, 0.2), hops=1, moments=4)
    model = js.BehlerParrinello(descriptor=moments, hidden=(4,))
    learnt_from = known_electrons(model, {"params": {"filling": 0.3, "temperature": 0.1}})
    frames = random_configurations(ring, 2, key=jax.random.key(0), dtype=np.float32)
    for hopping in ((1.0, 0.2), (1.0, 0.3), 1.0):
        solver = js.ExactDiagonalization(js.SDModel(ring, hopping, 2.0), filling=0.3, temperature=0.1)
        path = js.sample(solver, frames).save(tmp_path / "labels.zarr", overwrite=True)
        if hopping == (1.0, 0.2):
            assert data_files.evaluate_files(model, [path], known=learnt_from)
        else:
            with pytest.raises(ValueError, match=r"has hopping \[1.0.*\], the force field was trained for"):
                data_files.evaluate_files(model, [path], known=learnt_from)


def test_what_a_force_field_learnt_from_is_read_from_its_descriptor_too():
    moments = js.LocalMoments(js.square(6, periodic=(False, True)), 2.0, hops=1, moments=4)
    model = js.BehlerParrinello(descriptor=NearEnds(moments), hidden=(4,))
    for one in (model, js.Committee([model, model]), js.forcefield.GeneralizedPotential.of(model)):
        assert known_electrons(one, {})["coupling"] == 2.0
        assert known_electrons(one, {"params": {"filling": None}}) == known_electrons(one, {})


def test_files_that_are_none(written, tmp_path):
    path = written()
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(ValueError, match=r"give an \.npz"):
        data_files.read(path)
    with pytest.raises(FileNotFoundError, match=r"give an \.npz"):
        data_files.read(tmp_path / "none.npz")
    np.savez(tmp_path / "some.npz", spins=np.ones(3))
    with pytest.raises(ValueError, match="it needs spins and field"):
        data_files.read(tmp_path / "some.npz")


def test_locality_of_the_exact_torque(tmp_path):
    """Nothing is unknown when the radius holds the whole lattice; a pair further apart differs more."""
    case = locality.Case("chain", 7, 1.0, 0.5, 0.1, "ferromagnet")
    config = locality.Config(tmp_path / "out", cases=(case,), radii=(1.0, 3.0), pairs=4)
    near, far = locality.run(config)["rows"]
    for surroundings in ("random", "ferromagnet"):
        for common in ("filling in common", "Fermi level in common"):
            assert near[surroundings][common]["error"] > 0.05
            assert far[surroundings][common]["error"] < 1e-5
        assert near[surroundings]["rms change of the Fermi level"] > 1e-2
        assert far[surroundings]["rms change of the Fermi level"] < 1e-9
    assert (tmp_path / "out" / "locality.png").stat().st_size > 1000
    with pytest.raises(ValueError, match="lower --radii"):
        locality.Config(cases=(case,), radii=(4.0,))


@pytest.mark.slow
def test_error_of_clusters_that_grow(tmp_path):
    """Clusters that miss the same sites are the better the further they reach; the driver's spins are not random."""
    electrons = Electrons("square", 6.0, 0.485, 0.1)
    config = cluster_size.Config(
        output=tmp_path / "out", cases=(electrons,), hops=(1, 2), temperatures=(0.1,), side=6, driver=(1, 0.2)
    )
    near, far = cluster_size.run(config)["rows"]
    assert (near["steps"], far["steps"]) == (7, 11)
    for kind in ("random", "quench"):
        assert far[kind]["error"] < 0.6 * near[kind]["error"] < 0.3
        assert far[kind]["largest"] > far[kind]["error"]
    assert near["random"]["error"] != near["quench"]["error"]
    # one that was killed after the first row makes only the second
    (tmp_path / "out" / "rows" / "0_01.json").unlink()
    again = cluster_size.run(dataclasses.replace(config, resume=True))["rows"]
    assert again[0] == near
    assert again[1]["quench"] == far["quench"]
    assert (tmp_path / "out" / "table.md").read_text().count("J = 6") == 2
    assert (tmp_path / "out" / "cluster_size.png").stat().st_size > 1000


def test_clusters_larger_than_the_lattice_are_refused_at_once():
    with pytest.raises(ValueError, match="fewer hops"):
        cluster_size.Config(side=8)
    with pytest.raises(ValueError, match="one value each"):
        cluster_size.Config(hops=())
