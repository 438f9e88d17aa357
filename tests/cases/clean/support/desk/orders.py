def find_order(number: int) -> dict:
    return {"number": number, "total": 1200, "state": "paid"}


def claims_hold(result: dict, goal: str) -> bool:
    return bool(result and goal)
