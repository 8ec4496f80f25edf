"""The dashboard: what the service owes, sold and spent, and what wants attention."""

from django.http import HttpRequest, HttpResponse

from credits.office import pages


@pages.page("", name="index", permission="credits.view_balance")
def dashboard(request: HttpRequest) -> HttpResponse:
    """Show the figures."""
    return pages.render(request, "dashboard.html", "Dashboard")
