"""The page's tabs for walks, projections, and runs side by side."""

import os
from typing import Any, List

import gradio as gr

from dnnlib import cli
from dnnlib.files import make_temporary_folder
from dnnlib.util import UserError, format_time
from training.misc import convert_to_pil_image
from viewer import histories, pictures, projection
from viewer.widgets import PRIVATE, QUIET, SHOWN, command_box, told

_MOST_FRAMES, _MOST_STEPS = 600, 10000


def add_walk(page: Any, sampling: List[Any]) -> None:
    """A walk between seeds, with the network, truncation, class and noise of the image."""
    with gr.Row():
        with gr.Column(scale=2, min_width=320):
            seeds = gr.Textbox('0-2', label='Seeds, such as 0-3 or 1,5', elem_id='walk-seeds')
            frames = gr.Slider(1, 120, 20, step=1, label='Frames from seed to seed')
            space = gr.Radio(['z', 'w'], value='z', label='Walk on arcs in z, or lines in w')
            button = gr.Button('Walk', variant='primary', elem_id='walk')
        with gr.Column(scale=5):
            video = gr.Image(
                label='Walk (GIF)', type='filepath', elem_id='video', height=400, **SHOWN
            )
            command = command_box()

    def walk(seeds, frames, space, *sampling):
        wish, seeds = page.wish(*sampling), cli.parse_int_list(seeds)
        if len(seeds) * frames > _MOST_FRAMES:
            raise UserError(
                'these are %d frames; here there may be %d' % (len(seeds) * frames, _MOST_FRAMES)
            )
        folder = make_temporary_folder('walk', os.environ['GRADIO_TEMP_DIR'])
        path = pictures.save_walk(page.networks, wish, seeds, frames, space, folder)
        return path, pictures.walk_command(wish, seeds, frames, space)

    button.click(told(walk), [seeds, frames, space, *sampling], [video, command], **PRIVATE)


def add_projection(page: Any, sampling: List[Any]) -> None:
    """The latents of a picture that is uploaded."""
    with gr.Row():
        with gr.Column(scale=2, min_width=320):
            # The file as it is: it is decoded by `training.data.decoding` alone.
            picture = gr.File(label='Picture (its middle square is taken)', elem_id='upload')
            steps = gr.Slider(10, 1000, 100, step=10, label='Steps', elem_id='steps')
            button = gr.Button('Project', variant='primary', elem_id='project')
            state = gr.Markdown(elem_id='projected')
        with gr.Column(scale=5):
            with gr.Row():
                shown = [
                    gr.Image(
                        label=label,
                        format='png',
                        height=340,
                        elem_classes='pixels',
                        elem_id=name,
                        **SHOWN,
                    )
                    for label, name in [('Picture', 'target'), ('Projection', 'projection')]
                ]
            command = command_box('Command that makes it again; FOLDER has the picture alone')

    def project(picture, steps, *sampling):
        wish = page.wish(*sampling)
        if picture is None:
            raise UserError('choose a picture to project')
        line = projection.command(wish.network, steps, wish.class_index)
        for found in projection.project(
            page.networks, wish.network, picture, steps, wish.class_index
        ):
            images = [convert_to_pil_image(image, [-1, 1]) for image in found.images]
            text = 'Step %d of %d, about %s left; mean squared error %.4f'
            text %= found.step, found.num_steps, format_time(found.seconds_left), found.mse
            yield (text, *images, line)

    button.click(told(project), [picture, steps, *sampling], [state, *shown, command], **QUIET)


def add_runs(page: Any, blocks: gr.Blocks) -> None:
    """Curves of runs, and their grids during training."""
    with gr.Row():
        with gr.Column(scale=2, min_width=320):
            chosen = gr.Dropdown(multiselect=True, label='Runs', elem_id='runs')
            name = gr.Dropdown(label='Figure or metric', elem_id='figure-name')
            kimg = gr.Slider(0, 1, 0, label='Thousands of images', elem_id='kimg')
        with gr.Column(scale=5):
            plot = gr.Image(show_label=False, format='png', elem_id='curves', **SHOWN)
            command = command_box()
            grids = gr.Gallery(
                label='Images during training',
                format='png',
                columns=2,
                object_fit='contain',
                elem_id='grids',
                buttons=SHOWN['buttons'],
            )

    def folders(names):
        dirs = page.run_dirs()
        return [dirs[each] for each in names or [] if each in dirs]

    def offer():
        return gr.Dropdown(list(page.run_dirs()))

    def choose(names, name):
        dirs = folders(names)
        figures = histories.names_of_curves(dirs)
        last = max([1.0] + [grid.kimg for path in dirs for grid in histories.grids(path)])
        name = name if name in figures else next(iter(figures), None)
        return gr.Dropdown(figures, value=name), gr.Slider(maximum=last, value=last)

    def draw(names, name):
        if not names or not name:
            return None, ''
        dirs = folders(names)
        picture = histories.drawn(lambda path: histories.save_curves(path, dirs, name))
        return picture, histories.curve_command(dirs, name)

    def show_grids(names, kimg):
        found = histories.grids_at(folders(names), kimg)
        return [
            (histories.picture(grid.path), '%s, %g thousand images' % (title, grid.kimg))
            for title, grid in found
        ]

    blocks.load(told(offer), None, chosen, **QUIET)
    curves = dict(fn=told(draw), inputs=[chosen, name], outputs=[plot, command], **QUIET)
    shown = dict(fn=told(show_grids), inputs=[chosen, kimg], outputs=grids, **QUIET)
    event = chosen.input(told(choose), [chosen, name], [name, kimg], **QUIET)
    event.success(**curves).success(**shown)
    name.input(**curves)
    kimg.input(trigger_mode='always_last', **shown)
