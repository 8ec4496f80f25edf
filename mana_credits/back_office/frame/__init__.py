"""The frame of the back office: site, base pages, base lists and charts."""
