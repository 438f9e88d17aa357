"""Decides in each round what to do next, in place of a model.

It gets the state of the run (`orch.PolicyState`) and returns a decision: tasks, or a result.
"""


def next_step(state):
    """List the notes, then read them all, then return what was found."""
    if "list_notes" not in state.outputs:
        task = {"id": "list", "worker": "list_notes", "input": {"folder": state.input["folder"]}}
        return {"assessment": "Which notes are there?", "tasks": [task]}
    notes = state.outputs["list_notes"][-1]
    found = state.outputs.get("find_todos", [])
    if notes and not found:
        tasks = [
            {"id": f"note{n}", "worker": "find_todos", "input": {"path": path}}
            for n, path in enumerate(notes, start=1)
        ]
        return {"assessment": f"Notes to read: {len(notes)}.", "tasks": tasks}
    return {
        "assessment": "All notes are read.",
        "finish": [todo for todos in found for todo in todos],
    }
