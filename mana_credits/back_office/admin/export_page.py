"""The page of exports."""

from datetime import UTC, date, datetime, time, timedelta

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponseBase, StreamingHttpResponse

from credits.errors import DomainError
from mana_credits.back_office.acts import csv_exports
from mana_credits.back_office.acts.csv_exports import Filter
from mana_credits.back_office.frame import operator_pages


class ExportForm(operator_pages.ActForm):
    """Which list, and which part of it."""

    what = forms.ChoiceField(label="List")
    user_id = forms.CharField(label="Account", max_length=255, required=False)
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

    def chosen(self) -> Filter:
        """Return what a valid form asks for."""
        data = self.cleaned_data
        end = data["until"] + timedelta(days=1) if data["until"] else None
        return Filter(data["user_id"], _midnight(data["since"]), _midnight(end))


@operator_pages.page("export/", name="export", permission="credits.export_rows")
def export(request: HttpRequest) -> HttpResponseBase:
    """Send a list as CSV."""
    known = {name: request.GET[name] for name in ("what", "user_id") if name in request.GET}
    form = ExportForm(request.POST or None, initial=known)
    if form.is_valid():
        what = form.cleaned_data["what"]
        try:
            lines = csv_exports.export(
                operator_pages.operator_of(request), what, form.chosen(), key=form.act_key
            )
        except DomainError as refusal:
            messages.info(request, refusal.text)
        else:
            disposition = f'attachment; filename="{what}.csv"'
            return StreamingHttpResponse(
                lines,
                content_type="text/csv; charset=utf-8",
                headers={"Content-Disposition": disposition, "Cache-Control": "no-store"},
            )
    return operator_pages.render(request, "export.html", "Export", {"form": form})


def _midnight(day: date | None) -> datetime | None:
    return datetime.combine(day, time(), UTC) if day else None
