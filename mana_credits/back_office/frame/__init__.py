"""The frame of the back office: its site, pages, lists, and how a timeline looks."""
