"""What a planner does in a few tasks that a search in the outputs cannot tell, by suite and task.

The suites that were kept have no entry here.
"""

from __future__ import annotations

from typing import Any

#: An amount that is computed: [worker, its inputs by name]; numbers are looked up as any value is.
Sum = list[Any]

#: Inputs that are the result of a computation: by suite and task, by tool and input.
COMPUTED: dict[str, dict[str, Sum]] = {
    "banking/user_task_3": {
        "send_money.amount": [
            "calculate",
            {"op": "subtract", "a": 10.0, "b": ["share", {"total": 12.0, "people": 2}]},
        ]
    },
    "banking/user_task_5": {
        "send_money.amount": ["calculate", {"op": "percent", "a": 50.0, "b": 10}]
    },
    "banking/user_task_11": {
        "send_money.amount": [
            "calculate",
            {"op": "add", "a": ["calculate", {"op": "percent", "a": 1000.0, "b": 19.5}], "b": 5.29},
        ]
    },
}

#: Tasks whose request is to do what a text says: the planner has to read that text.
TOLD_BY_A_TEXT = {
    "workspace/user_task_13",
    "workspace/user_task_19",
    "banking/user_task_12",
}

#: Tasks in which a reader answers with yes or no what the planner needs to know.
ASKED = {"banking/user_task_14"}

#: Numbers in a text that the planner asks a reader for, to compute with them.
READ_NUMBERS = {"banking/user_task_0", "banking/user_task_2"}

#: Addresses that one reader reads together, before the first call that needs one.
READ_TOGETHER = {"workspace/user_task_25"}

#: Calls that the ground truth leaves out although what they give is needed: before which call.
LEFT_OUT: dict[str, tuple[str, str]] = {
    "banking/user_task_9": ("update_scheduled_transaction", "get_scheduled_transactions"),
}

#: The first of a list in some order, taken by a selection: `sort_by` of what is searched.
FIRST_BY = {
    "workspace/user_task_35": "/size",
    "workspace/user_task_38": "/size",
}


def tasks_by_hand() -> set[str]:
    return {*COMPUTED, *TOLD_BY_A_TEXT, *ASKED, *READ_NUMBERS, *LEFT_OUT, *FIRST_BY, *READ_TOGETHER}
