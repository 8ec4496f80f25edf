"""Pages of grants by a file: upload, preview, approval, progress and the result."""

import csv
from io import StringIO
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from credits import worker
from credits.ledger import campaign_grants
from credits.models import GrantCampaign, StaffAction, Transaction
from tests.back_office.operators import form
from tests.back_office.test_grant_campaigns import LARGE, SMALL, WRONG, ask, now, post, users
from tests.importing import available

pytestmark = pytest.mark.django_db

NEW = "/admin/new-grant-campaign/"


def upload(client: Client, text: str | bytes, **fields: Any) -> Any:
    data = text.encode() if isinstance(text, str) else text
    fields = {"name": "winter", "reason": "Thank you", "confirmed": "", **fields}
    file = SimpleUploadedFile("users.csv", data)
    return client.post(NEW, {**form(**fields), "file": file})


def confirm(client: Client, preview: Any, **fields: Any) -> Any:
    context = preview.context
    hidden = dict(context["hidden"])
    return client.post(NEW, {**hidden, "content": context["content"], "confirmed": "1", **fields})


def test_the_preview_lists_every_refused_line_and_stores_nothing(sam: Client) -> None:
    page = upload(sam, WRONG)

    text = page.content.decode()
    assert [one.line for one in page.context["refused"]] == [3, 4, 5, 6, 7]
    assert "ambiguous" in text
    assert "Lines 5 and 6 name the same user, dora" in text
    assert "expected 2 columns, found 3" in text
    assert page.context["users"] == 1
    assert not GrantCampaign.objects.exists()

    still = confirm(sam, page)
    assert "leave them out" in still.content.decode()
    assert not GrantCampaign.objects.exists()

    done = confirm(sam, still, leave_out="on")
    assert done.url == reverse("admin:grant_campaign", args=(GrantCampaign.objects.get().pk,))
    assert available() == {"bob": 5}


def test_the_preview_says_who_got_it_before_and_another_amount(sam: Client) -> None:
    post(ask())

    page = upload(sam, "user_id,credits\nbob,5\nalice,3\ncarol,1\n")

    assert page.context["planned"].same == 1
    assert [one.sentence for one in page.context["refused"]] == ["got 2.5 before, not 3"]


def test_the_same_file_is_named_in_the_preview(sam: Client) -> None:
    ask(campaign="autumn")

    page = upload(sam, SMALL)
    refused = confirm(sam, page)
    done = confirm(sam, refused, again="on")

    assert "autumn" in page.content.decode()
    assert "This file is in a campaign already" in refused.content.decode()
    assert done.status_code == 302


def test_from_the_upload_to_the_result_with_a_second_person(sam: Client, ada: Client) -> None:
    preview = upload(sam, LARGE)
    assert "A colleague has to approve it" in preview.content.decode()
    there = confirm(sam, preview).url
    again = confirm(sam, preview)
    campaign = GrantCampaign.objects.get()
    waiting = ada.get(there).content.decode()
    decision = reverse("admin:decide_act", args=(campaign.request_id,))
    assert decision in waiting
    assert decision not in sam.get(there).content.decode()
    assert "1,500 credits to 2 users" in ada.get(decision).content.decode()

    ada.post(decision, form(approve="1"))
    done = ada.get(there).content.decode()

    assert again.url == there
    assert available() == {"alice": 800, "bob": 700}
    assert "Posted: 2 of 2" in done
    assert "data-reload" not in done


def test_a_running_campaign_shows_its_progress(amir: Client) -> None:
    campaign = ask(text=users(4))
    next(campaign_grants.post(campaign, now=now()))

    page = amir.get(reverse("admin:grant_campaign", args=(campaign.pk,))).content.decode()

    assert "Posted: 1 of 4" in page
    assert "data-reload" in page


def test_the_result_is_a_file_that_no_spreadsheet_runs(amir: Client) -> None:
    campaign = ask(text='user_id,credits\n=1+2,5\nbob,"=x"\n', leave_out=True)
    post(campaign)

    answer = amir.get(reverse("admin:grant_result", args=(campaign.pk,)))

    text = b"".join(answer).decode()
    assert text.startswith("\ufeff")
    rows = list(csv.DictReader(StringIO(text.removeprefix("\ufeff"))))
    assert [(row["line"], row["user_id"], row["outcome"]) for row in rows] == [
        ("2", "'=1+2", "granted"),
        ("3", "bob", "left_out"),
    ]
    assert "no-store" in answer["Cache-Control"]
    line = StaffAction.objects.get(action="downloaded_grants")
    assert (line.operator, line.subject) == ("amir", f"grant_campaign:{campaign.pk}")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "Choose a file"),
        (b"PK\x03\x04", "Excel workbook"),
        (b"\xff\xfeu", "UTF-16"),
        (b"user_id;credits\nbob;5\n", "semicolons"),
        (b"user,amount\n", "user_id,credits"),
        (b"user_id,credits\n" + b"x" * 180_000, "more than 180 kB"),
        (b"user_id,credits\n\xe9,5\n", "not UTF-8"),
    ],
)
def test_a_file_that_is_none_is_refused_in_the_form(sam: Client, content: bytes, says: str) -> None:
    page = upload(sam, content)

    assert says in page.content.decode()
    assert not GrantCampaign.objects.exists()


@pytest.mark.parametrize("content", ["", "?", "AAA", "w6k"])
def test_a_kept_file_that_was_edited_is_refused(sam: Client, content: str) -> None:
    page = sam.post(NEW, form(name="x", reason="y", content=content))

    assert page.status_code == 200
    assert not GrantCampaign.objects.exists()


@pytest.mark.slow
def test_the_largest_upload_fits_and_is_granted(sam: Client) -> None:
    lines = (f"{uuid4()},0.1\n" for _ in range(4_000))
    text = "user_id,credits\n" + "".join(lines)

    done = confirm(sam, upload(sam, text))
    worker.run(worker.jobs()["post_grant_campaigns"], now=now())

    assert done.status_code == 302
    assert Transaction.objects.count() == 4_000
    assert GrantCampaign.objects.get().state == "completed"


def test_the_key_of_a_form_is_the_campaign(sam: Client) -> None:
    key = uuid4()

    confirm(sam, upload(sam, SMALL, key=str(key)))

    assert GrantCampaign.objects.get().pk == UUID(str(key))


def test_an_auditor_uploads_nothing(amir: Client) -> None:
    assert upload(amir, SMALL).status_code == 403
