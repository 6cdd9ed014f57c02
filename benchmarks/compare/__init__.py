"""The scripts behind each table of docs/performance_data.md. Each compares alternatives within one run."""
