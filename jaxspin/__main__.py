"""`python -m jaxspin`: the command line, see `jaxspin.command`; without words, what is installed and where."""

from jaxspin.command import main

if __name__ == "__main__":
    main()
