"""What was measured, as people and programs read it: a terminal, Markdown, a page, Prometheus."""
