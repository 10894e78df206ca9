"""Breaks one feature of the sample application at a time, to prove that each test of its two suites can fail.

`DEMO_MUTATION=<id>` in the environment of a server chooses one; the front end hands its own to the page in
`/config.json`.
Each mutation makes the test of its own number fail and leaves the others of its suite passing: `b` for the market
(specs/market.yaml), `c` for the desk (specs/desk.yaml).

    id    where     what breaks
    b001  page      the heading is gone in Chromium
    b002  page      the heading is gone in Firefox
    b003  page      the heading is gone in WebKit
    b004  backend   the market status leaves out the indexes
    b005  backend   ticker symbols are found in capitals only
    b006  backend   a question about several tickers is answered for the first alone
    b007  page      Send can be pressed while the message box is empty
    b008  page      the analysis buttons show no loading state
    b009  page      a failed request shows no error banner
    b010  page      the Enter key does not send
    b011  page      a message is shown as markup instead of text
    b012  backend   company names are not recognised
    b013  page      the JSON export leaves out the replies
    b014  page      the CSV export does not quote its cells
    b015  page      the Markdown export and the copied text lose their tables
    b016  page      a reply is shown seconds after it arrived
    c001  desk      a refused sign-in shows no message
    c002  desk      the picture of the head has no text for those who do not see it
    c003  desk      each wrong quantity gets the same message
    c004  desk      the approval of a statement does not reach the desk
    c005  desk      no mail is sent when an audit is done
    c006  desk      a file that is dropped is not read
    c007  desk      a priority that is dragged stays in its place
    c008  desk      the activity does not grow at its end
    c009  desk      an outage of the rate shows no message
    c010  desk      times are British and in UTC everywhere
"""

from __future__ import annotations

from collections.abc import Mapping

MUTATIONS: dict[str, str] = {
    "b001": "the heading is gone in Chromium",
    "b002": "the heading is gone in Firefox",
    "b003": "the heading is gone in WebKit",
    "b004": "the market status leaves out the indexes",
    "b005": "ticker symbols are found in capitals only",
    "b006": "a question about several tickers is answered for the first alone",
    "b007": "Send can be pressed while the message box is empty",
    "b008": "the analysis buttons show no loading state",
    "b009": "a failed request shows no error banner",
    "b010": "the Enter key does not send",
    "b011": "a message is shown as markup instead of text",
    "b012": "company names are not recognised",
    "b013": "the JSON export leaves out the replies",
    "b014": "the CSV export does not quote its cells",
    "b015": "the Markdown export and the copied text lose their tables",
    "b016": "a reply is shown seconds after it arrived",
    "c001": "a refused sign-in shows no message",
    "c002": "the picture of the head has no text for those who do not see it",
    "c003": "each wrong quantity gets the same message",
    "c004": "the approval of a statement does not reach the desk",
    "c005": "no mail is sent when an audit is done",
    "c006": "a file that is dropped is not read",
    "c007": "a priority that is dragged stays in its place",
    "c008": "the activity does not grow at its end",
    "c009": "an outage of the rate shows no message",
    "c010": "times are British and in UTC everywhere",
}


def chosen(environ: Mapping[str, str]) -> str:
    """Return the mutation that `DEMO_MUTATION` names, in lower case; empty when it names none.

    Raises:
        ValueError: the name is not a key of `MUTATIONS`.
    """
    name = environ.get("DEMO_MUTATION", "").strip().lower()
    if name and name not in MUTATIONS:
        raise ValueError(f"DEMO_MUTATION is {name!r}; allowed: {', '.join(MUTATIONS)}")
    return name
