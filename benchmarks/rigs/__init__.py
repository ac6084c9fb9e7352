"""What benchmarks share: sample editions, sinks, and CPU measured per process."""
