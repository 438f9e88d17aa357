"""What an author declares about the tools of a suite, as tables: trust, effects and sources.

A signature says none of this. The tables are all that `bench.safety.program` needs for a program
of a suite, besides the signatures of its tools.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Suite:
    """The declarations of one suite.

    Attributes:
        effects: The tools that do something.
        untrusted: The fields that hold strangers' text, by the name of their model.
        strangers: The tools whose whole answer is such text; of one that answers with a dict, its
            values are.
        sources: `@from` of inputs: by tool, by input.
        lists: The tools that answer with a list written as text: what is before the list.
        types: Narrower types of fields (`Model.field`) and of outputs (by tool).
        strict: The effects whose target has to come by reference, or a person is asked: which
            input that is. With a `?`, a target that is in the request will do.
        extra: More declarations for the program, in the language.
        helpers: The workers among them.
    """

    effects: tuple[str, ...]
    untrusted: dict[str, tuple[str, ...]] = field(default_factory=dict)
    strangers: tuple[str, ...] = ()
    sources: dict[str, dict[str, str]] = field(default_factory=dict)
    lists: dict[str, str] = field(default_factory=dict)
    types: dict[str, str] = field(default_factory=dict)
    strict: dict[str, str] = field(default_factory=dict)
    extra: str = ""
    helpers: tuple[str, ...] = ()


_MAILS = ("search_emails", "get_unread_emails", "get_received_emails")
_CONTACTS = "search_contacts_by_name.email, search_contacts_by_email.email"
_EVENTS = ("search_calendar_events", "get_day_calendar_events")
_FILES = ("search_files_by_filename", "search_files", "list_files", "get_file_by_id")


def _parts(tools: tuple[str, ...], part: str) -> str:
    return ", ".join(f"{tool}.{part}" for tool in tools)


_EVENT = f"{_parts((*_EVENTS, 'create_calendar_event'), 'id_')}"
_FILE = f"{_parts((*_FILES, 'create_file'), 'id_')}"
_GUESTS = f"request, {_CONTACTS}, {_parts(_EVENTS, 'participants')}, {_parts(_MAILS, 'sender')}"
_PERSONAL = {
    "Email": ("subject", "body"),
    "EmailContact": ("name",),
    "CalendarEvent": ("title", "description", "location"),
    "CloudDriveFile": ("filename", "content"),
}

WORKSPACE = Suite(
    effects=(
        "send_email",
        "delete_email",
        "create_calendar_event",
        "cancel_calendar_event",
        "reschedule_calendar_event",
        "add_calendar_event_participants",
        "append_to_file",
        "create_file",
        "delete_file",
        "share_file",
    ),
    untrusted=_PERSONAL,
    sources={
        "search_contacts_by_name": {"query": "request"},
        "search_contacts_by_email": {"query": "request"},
        "send_email": {
            "recipients": f"request, {_CONTACTS}",
            "cc": f"request, {_CONTACTS}",
            "bcc": f"request, {_CONTACTS}",
        },
        "delete_email": {
            "email_id": f"{_parts((*_MAILS, 'get_sent_emails', 'send_email'), 'id_')}"
        },
        "create_calendar_event": {"title": "request", "participants": _GUESTS},
        "cancel_calendar_event": {"event_id": _EVENT},
        "reschedule_calendar_event": {"event_id": _EVENT},
        "add_calendar_event_participants": {"event_id": _EVENT, "participants": _GUESTS},
        "append_to_file": {"file_id": _FILE},
        "create_file": {"filename": "request"},
        "delete_file": {"file_id": _FILE},
        "share_file": {"file_id": _FILE, "email": f"request, {_CONTACTS}"},
    },
    types={"get_current_day": "date"},
    strict={
        "delete_email": "email_id",
        "delete_file": "file_id",
        "cancel_calendar_event": "event_id",
    },
)

_PAST, _PLANNED = "get_most_recent_transactions", "get_scheduled_transactions"
_PAYEE = f"request, {_PAST}.recipient, {_PAST}.sender, {_PLANNED}.recipient"
_AMOUNT = f"request, {_PAST}.amount, {_PLANNED}.amount, calculate, share"
_SUM = f"float @from({_AMOUNT})"

BANKING = Suite(
    effects=(
        "send_money",
        "schedule_transaction",
        "update_scheduled_transaction",
        "update_password",
        "update_user_info",
    ),
    untrusted={"Transaction": ("subject",)},
    strangers=("read_file",),
    sources={
        "send_money": {"recipient": _PAYEE, "amount": _AMOUNT},
        "schedule_transaction": {"recipient": _PAYEE, "amount": _AMOUNT},
        "update_scheduled_transaction": {
            "id": f"{_PLANNED}.id",
            "recipient": _PAYEE,
            "amount": _AMOUNT,
        },
        "update_password": {"password": "request"},
        "update_user_info": dict.fromkeys(("first_name", "last_name", "street", "city"), "request"),
    },
    types={"Transaction.date": "date"},
    extra=f"""
/// Arithmetic on amounts that are known: percent is b per cent of a.
worker calculate(
  op: "add" | "subtract" | "percent",
  a: {_SUM},
  b: {_SUM},
) -> float via python {{
  call    = "bench.safety.tools:calculate"
  effect  = pure
  timeout = 5s
}}

/// The part of one person when an amount is shared by several.
worker share(total: {_SUM}, people: int @min(1) @max(20)) -> float via python {{
  call    = "bench.safety.tools:share"
  effect  = pure
  timeout = 5s
}}
""",
    helpers=("calculate", "share"),
)

_USERS, _CHANNELS = "get_users_in_channel", "get_channels"

SLACK = Suite(
    effects=(
        "add_user_to_channel",
        "send_direct_message",
        "send_channel_message",
        "invite_user_to_slack",
        "remove_user_from_slack",
        "post_webpage",
    ),
    untrusted={"Message": ("body",)},
    strangers=("get_webpage",),
    sources={
        "add_user_to_channel": {
            "user": f"request, {_USERS}",
            "channel": f"request, {_CHANNELS}",
        },
        "send_direct_message": {
            "recipient": f"request, {_USERS}, read_channel_messages.sender, read_inbox.sender"
        },
        "send_channel_message": {"channel": f"request, {_CHANNELS}"},
        "invite_user_to_slack": {"user": "request", "user_email": "request"},
        "remove_user_from_slack": {"user": f"request, {_USERS}"},
        "get_webpage": {"url": "request"},
        "post_webpage": {"url": "request"},
    },
    strict={"remove_user_from_slack": "user?"},
)

_CITIES = {
    "hotel": "get_all_hotels_in_city",
    "restaurant": "get_all_restaurants_in_city",
    "company": "get_all_car_rental_companies_in_city",
}

TRAVEL = Suite(
    effects=(
        "create_calendar_event",
        "cancel_calendar_event",
        "reserve_hotel",
        "reserve_car_rental",
        "reserve_restaurant",
        "send_email",
    ),
    untrusted=_PERSONAL,
    strangers=(
        "get_rating_reviews_for_hotels",
        "get_rating_reviews_for_restaurants",
        "get_rating_reviews_for_car_rental",
        "get_flight_information",
    ),
    sources={
        "reserve_hotel": {"hotel": f"request, {_CITIES['hotel']}"},
        "reserve_restaurant": {"restaurant": f"request, {_CITIES['restaurant']}"},
        "reserve_car_rental": {"company": f"request, {_CITIES['company']}"},
        "create_calendar_event": {
            "title": "request",
            "participants": f"request, {_parts(_EVENTS, 'participants')}",
        },
        "cancel_calendar_event": {"event_id": _EVENT},
        "send_email": {
            "recipients": "request, get_user_information.value",
            "cc": "request",
            "bcc": "request",
        },
    },
    lists={
        "get_all_hotels_in_city": "Hotel Names: ",
        "get_all_restaurants_in_city": ": ",
        "get_all_car_rental_companies_in_city": ": ",
    },
    strict={
        "reserve_hotel": "hotel?",
        "reserve_restaurant": "restaurant?",
        "reserve_car_rental": "company?",
        "cancel_calendar_event": "event_id",
    },
)

SUITES = {"workspace": WORKSPACE, "banking": BANKING, "slack": SLACK, "travel": TRAVEL}
