"""The commands of `orch`, one file each; what they share is one folder up."""
