"""The page of exports."""

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, date, datetime, time, timedelta

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponseBase, StreamingHttpResponse

from credits.bulkheads import Bulkhead
from credits.errors import DomainError
from mana_credits.back_office.acts import csv_exports
from mana_credits.back_office.acts.audit import AlreadyDone, Operator
from mana_credits.back_office.acts.csv_exports import ExportFilter
from mana_credits.back_office.admin.form_fields import UserIdField
from mana_credits.back_office.frame import operator_pages


class ExportForm(operator_pages.ActForm):
    """The list to export and its filter."""

    what = forms.ChoiceField(label="List")
    user_id = UserIdField(label="Account", required=False)
    since = forms.DateField(
        label="From", required=False, widget=forms.DateInput(attrs={"type": "date"})
    )
    until = forms.DateField(
        label="To, that day included",
        required=False,
        widget=forms.DateInput(attrs={"type": "date"}),
    )

    def __init__(self, *arguments: object, **named: object) -> None:
        super().__init__(*arguments, **named)  # type: ignore[arg-type]
        choices = [(name, name.replace("-", " ")) for name in csv_exports.names()]
        self.fields["what"].choices = choices  # type: ignore[attr-defined]

    def chosen(self) -> ExportFilter:
        """Return the filter of a valid form."""
        data = self.cleaned_data
        end = data["until"] + timedelta(days=1) if data["until"] else None
        return ExportFilter(data["user_id"], _midnight(data["since"]), _midnight(end))


@operator_pages.page("export/", name="export", permission="credits.export_rows")
def export(request: HttpRequest) -> HttpResponseBase:
    """Send a list as CSV."""
    known = {name: request.GET[name] for name in ("what", "user_id") if name in request.GET}
    form = ExportForm(request.POST or None, initial=known)
    if form.is_valid():
        what = form.cleaned_data["what"]
        try:
            return _download(operator_pages.operator_of(request), what, form)
        except ExportBusy:
            raise  # shown as an error page with 503
        except AlreadyDone:
            # A download leaves the page open, and its form may name another account now.
            messages.info(request, "This export was sent already. Export again to get another one.")
            form.renew()
    return operator_pages.render(request, "export.html", "Export", {"form": form})


class ExportBusy(DomainError):
    """Another export is being sent by this process."""

    code = "export_busy"
    status = 503
    message = "Another export is being sent. Try again when it has arrived."
    retry_after = 10


_downloads = Bulkhead("exports", refusal=ExportBusy)


def _download(operator: Operator, what: str, form: ExportForm) -> StreamingHttpResponse:
    # The place is taken before the response and given back when it is closed: the lines are read
    # from the database while they are sent. If `export` fails, the stack gives it back.
    with ExitStack() as place:
        place.enter_context(_downloads.place())
        lines = csv_exports.export(operator, what, form.chosen(), key=form.act_key)
        return StreamingHttpResponse(
            _Lines(lines, place.pop_all()),
            content_type="text/csv; charset=utf-8",
            headers={
                "Content-Disposition": f'attachment; filename="{what}.csv"',
                # The file has personal data. It must not stay in the browser's cache.
                "Cache-Control": "no-store",
            },
        )


class _Lines:
    """Lines that occupy the bulkhead until the response is closed, sent or not."""

    def __init__(self, lines: Iterator[str], place: ExitStack) -> None:
        self._lines = lines
        self.close = place.close

    def __iter__(self) -> Iterator[str]:
        return self._lines


def _midnight(day: date | None) -> datetime | None:
    return datetime.combine(day, time(), UTC) if day else None
