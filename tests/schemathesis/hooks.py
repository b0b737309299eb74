"""Checks of our own, beside those of schemathesis."""

import copy

import schemathesis
from schemathesis.specs.openapi.checks import (
    negative_data_rejection,
    positive_data_acceptance,
)

# Far more than a call to a fake on the same machine takes.
HURRY_MS = 2_000


@schemathesis.check
def an_outcome_says_what_a_status_would(ctx, response, case):
    """The rules for statuses hold for the status inside an answer that tells outcomes."""
    if response.status_code != 200:
        return
    body = response.json()
    flat = body["data"] if isinstance(body.get("data"), dict) else body
    if "outcome" not in flat:
        return
    assert (flat["status_code"] == 200) == (flat["outcome"] in ("ok", "stale", "fallback"))
    told = copy.copy(response)
    told.status_code = flat["status_code"]
    negative_data_rejection(ctx, told, case)
    positive_data_acceptance(ctx, told, case)


@schemathesis.check
def too_late_only_for_who_is_in_a_hurry(ctx, response, case):
    """A 504 comes to callers alone who gave no time."""
    if response.status_code != 504:
        return
    sent = {name.lower(): value for name, value in response.request.headers.items()}
    wait = sent.get("x-deadline-ms")
    assert wait is not None and int(wait) < HURRY_MS, "504 to a caller who had time"
