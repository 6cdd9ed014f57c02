"""asv in the environment of this package, `python -m benchmarks run`: its runner imports NumPy before any benchmark."""

if __name__ == "__main__":
    from asv.main import main

    main()
