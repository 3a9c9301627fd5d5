"""The durable record: revisions, builds, images, verdicts, benchmarks, promotions, holds."""
