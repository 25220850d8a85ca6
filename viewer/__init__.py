"""What run_viewer.py shows: networks, images, histories, projections (no Gradio), and the page."""
