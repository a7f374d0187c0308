"""What the sidecar costs, as ratios to floors that are measured in the same run.

`python -m benchmarks` runs all of them, each in a process of its own; `--smoke` a few rounds only,
to see that they work. `python -m benchmarks.turn` runs one. A missed goal ends the long run with
exit code 1; a short run is too short for a verdict.
"""
