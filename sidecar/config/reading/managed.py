"""The file with what the control plane set. `sidecar.config.reading.layer` reads it."""

FOLDER = "managed"
FILE = f"{FOLDER}/managed.yaml"
"""The file, in the state folder. It has a folder of its own: that of a watched file is watched,
and the journal writes into the state folder all the time."""
UNFINISHED = "unfinished.json"
"""The file, in the state folder, with a change of the control plane's that is under way."""
LEFT_OUT = "managed-left-out"
"""The code of the problem that tells what is not used."""
