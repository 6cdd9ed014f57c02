"""The scripts behind each table of docs/measurements.md. Each compares alternatives within one run."""
