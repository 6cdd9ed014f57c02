"""Entry point of `python -m cbackprop`."""

from cbackprop.command import main

if __name__ == "__main__":
    main()
