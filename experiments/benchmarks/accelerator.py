"""Everything to know of an accelerator, in ten minutes: ceilings, fields, dynamics, electrons, training, agreement.

    python -m experiments.benchmarks.accelerator --output FILE.json
    python -m experiments.benchmarks.accelerator --output FILE.json --resume    # what there was no time for
    python -m experiments.benchmarks.accelerator --smoke                        # toy sizes, in a minute, anywhere

Single precision, on the first device. Programs are compiled side by side, then timed one by one: compilation apart,
median, fastest and slowest of several calls after a warm-up, each waited for. The file is written after every part,
whole at every moment; a part that fails leaves its error there and stops no other. Time is compared with that of the
arithmetic at the rate of float32 matrix products, and of the bytes at the bandwidth of a triad, both measured first.

Wants of the machine nothing but JAX, Flax, Equinox, diffrax, Optax and their kin. Beyond three quarters of the memory
of a GPU set XLA_PYTHON_CLIENT_MEM_FRACTION=0.95.
"""

import json
import time
from typing import Any

import jax

from experiments.benchmarks import accelerator_electrons, accelerator_fields, accelerator_parts
from experiments.benchmarks.accelerator_bench import Bench
from experiments.benchmarks.accelerator_settings import Config, smoke_size
from experiments.benchmarks.ledger import NO_TIME, Ledger, Section
from experiments.benchmarks.programs import device_memory
from experiments.stages.options import parsed
from experiments.stages.refusals import refusals
from jaxspin.io import provenance, to_json

# Settings that change what a part of the same name means; the others say which parts, and how to run.
_MEANING = (
    "seed", "triad", "agreement", "spin_steps", "colors", "training_side", "training_steps", "batch_side", "smoke",
)  # fmt: skip


def run(config: Config) -> dict[str, Any]:
    """All sections; returns what the file holds."""
    if config.smoke:
        config = smoke_size(config)
        jax.config.update("jax_disable_most_optimizations", True)  # compiling takes the most time by far
    settings = {name: value for name, value in json.loads(to_json(config)).items() if name in _MEANING}
    device = jax.devices()[0]
    settings["device"] = device.device_kind
    ledger = Ledger(config.output, settings, overwrite=config.overwrite, resume=config.resume)
    bench = Bench(config, ledger, device)
    until = time.monotonic() + 60 * config.minutes
    origin = about(config, device)
    ledger.found["runs"].append(origin)
    ledger.save()
    size = (origin["memory"] or 0) / 1e9
    print(f"{origin['device']}, {size:.3g} GB of memory, JAX {origin['versions']['jax']}", flush=True)
    ledger.measure(sections(bench), until)
    origin["peak memory"] = (device.memory_stats() or {}).get("peak_bytes_in_use")
    ledger.save()
    summarize(ledger)
    return ledger.found


def sections(bench: Bench) -> list[Section]:
    """Those wanted: the ceilings first, against which the others are held, and half of the fields after all others.

    Compiling takes as long as it takes: so many kinds of fields could leave no time for the rest.
    """
    fields = accelerator_fields.fields(bench)
    half = (len(fields) + 1) // 2
    makers = {
        "machine": lambda: [accelerator_parts.machine(bench)],
        "fields": lambda: fields[:half],
        "agreement": lambda: [accelerator_fields.agreement(bench)],
        "dynamics": lambda: [accelerator_parts.dynamics(bench)],
        "electrons": lambda: [accelerator_electrons.electrons(bench)],
        "exact": lambda: [accelerator_electrons.exact(bench)],
        "training": lambda: [accelerator_parts.training(bench)],
        "batches": lambda: [accelerator_fields.batches(bench)],
    }
    chosen = [section for name, make in makers.items() if name in bench.config.sections for section in make()]
    return [*chosen, *(fields[half:] if "fields" in bench.config.sections else [])]


def about(config: Config, device: Any) -> dict[str, Any]:
    """Where and how it was run."""
    found = provenance(config, config.seed)
    commit = config.commit or found["commit"]
    return {
        **found,
        "commit": commit,
        "platform of JAX": device.platform,
        "memory": device_memory(device),
        "all devices": [str(device) for device in jax.devices()],
        "precision": "float32",
        "matrix products": getattr(jax.config, "jax_default_matmul_precision", None) or "default",
    }


def summarize(ledger: Ledger) -> None:
    """What failed, what disagrees, what was left out, and which targets were missed: how many, and the first."""
    rows = {f"{s}, {p}": row for s, held in ledger.found["sections"].items() for p, row in held["parts"].items()}
    told = {
        "failed": [name for name, row in rows.items() if "error" in row],
        "do not agree with the CPU": [name for name, row in rows.items() if row.get("agrees") is False],
        f"left out, since {NO_TIME}": [name for name, row in rows.items() if row.get("left out") == NO_TIME],
        "miss a target": [name for name, row in rows.items() if False in row.get("target", {}).values()],
    }
    for what, names in told.items():
        first = "; ".join([*names[:8], "..."] if len(names) > 8 else names)
        print(f"{len(names)} of {len(rows)} parts {what}{': ' if names else ''}{first}", flush=True)


if __name__ == "__main__":
    with refusals():
        run(parsed(Config, __doc__))
