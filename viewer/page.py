"""The page: what a user chooses and sees. What is shown is computed by the other modules.

All that a tab of the browser has set comes with each event, so tabs know nothing of each other.
"""

import os
from typing import Any, Dict, List, Optional, Tuple

import gradio as gr

import pretrained_networks
from dnnlib.util import UserError
from training.misc import convert_to_pil_image
from training.pictures.layer_noise import LayerNoise
from viewer import histories, pictures, tabs
from viewer.networks import Networks
from viewer.pictures import Wish
from viewer.widgets import PRIVATE, QUIET, SHOWN, command_box, told, whole

CSS = """
.pixels img {image-rendering: pixelated; width: 100%; height: 100%; object-fit: contain}
.command textarea {font-family: monospace; font-size: 12px}
#curves img, #figure img {padding-top: 34px}
#grids button {aspect-ratio: auto !important; height: auto !important}
footer {display: none !important}
"""
FONTS = ['system-ui', 'sans-serif']  # of the machine
_NAMED = 'the file of --network'


class Page:
    """The parts of the page that choose a network and an image.

    Args:
        result_dir: folder of all runs. network: what --network names, if anything.
    """

    def __init__(self, networks: Networks, result_dir: str, network: Optional[str]):
        self.networks = networks
        self._result_dir = result_dir
        self._named = [] if network is None else pretrained_networks.find(network, result_dir).paths

    def sources(self) -> List[str]:
        """What networks can be taken from: the one of the command line, and runs."""
        return [_NAMED] * bool(self._named) + list(histories.run_dirs(self._result_dir))

    def run_dirs(self) -> Dict[str, str]:
        """Folders of runs by name."""
        return histories.run_dirs(self._result_dir)

    def files(self, source: Optional[str]) -> Dict[str, str]:
        """Paths of the networks of a source by name, the last one first."""
        if source == _NAMED and self._named:
            return {os.path.basename(path): path for path in reversed(self._named)}
        dirs = self.run_dirs()
        if source not in dirs:
            raise UserError('there is no network to show; train one, or name one by --network')
        return histories.snapshots(dirs[source])

    def path(self, source: Optional[str], file: Optional[str]) -> str:
        """Path of a chosen network."""
        files = self.files(source)
        if file not in files:
            raise UserError('%s is no longer there; choose another snapshot' % file)
        return files[file]

    def wish(self, source, file, seed, psi, class_index, noise, *changes) -> Wish:
        """The image that the controls ask for; without `changes` that without changes."""
        path = self.path(source, file)
        with self.networks.using(path) as loaded:
            label_size = loaded.about.label_size
        wish = Wish(
            path,
            whole(seed, 'the seed'),
            psi,
            whole(class_index, 'the class') if label_size else None,
            noise,
        )
        if not changes:
            return wish
        is_mixed, mix_seed, first, last, switched_on, layers = changes
        layers = {
            name: layer if name in switched_on else layer._replace(scale=0.0)
            for name, layer in layers.items()
        }
        changed = {name: layer for name, layer in layers.items() if layer != LayerNoise()}
        wish = wish._replace(layers=changed)
        if not is_mixed:
            return wish
        return wish._replace(
            mix_seed=whole(mix_seed, 'the seed of the styles'),
            first_style=whole(first, 'a style'),
            last_style=whole(last, 'a style'),
        )

    def draw(self, *controls) -> Tuple[Any, ...]:
        """Image, what changed, and the command."""
        wish = self.wish(*controls)
        plain = pictures.unchanged(wish)
        image = pictures.image(self.networks, wish)
        before = image if wish == plain else pictures.image(self.networks, plain)
        largest = int(abs(image.astype(int) - before).max())
        label = 'Difference: at most %d of 255' % largest
        shown = [
            convert_to_pil_image(x, [0, 255]) for x in (image, pictures.difference(before, image))
        ]
        return shown[0], gr.Image(shown[1], label=label), pictures.command(wish)

    def choose_source(self, source) -> Any:
        """Offer the snapshots of a run."""
        files = list(self.files(source))
        return gr.Dropdown(files, value=files[0])

    def choose_file(self, source, file, switched_on, layers) -> Tuple[Any, ...]:
        """Offer what a network has; changes of layers stay if it has the same layers."""
        with self.networks.using(self.path(source, file)) as loaded:
            about = loaded.about
        names = about.layer_names
        if list(layers) != names:
            layers, switched_on = {name: LayerNoise() for name in names}, names
        largest = max(about.num_layers - 1, 1)
        name = names[0] if names else None
        return (
            gr.Slider(maximum=max(about.label_size - 1, 1), visible=about.label_size > 0),
            gr.Accordion(visible=about.num_layers > 0),
            gr.Slider(maximum=largest),
            gr.Slider(maximum=largest),
            gr.Accordion(visible=bool(names)),
            gr.CheckboxGroup(names, value=switched_on),
            gr.Dropdown(names, value=name),
            layers,
            about,
            gr.Column(visible=bool(names)),
            gr.Button(visible=about.has_maps),
            *show_layer(name, layers, about),
        )

    def stddev(self, num_draws, *controls) -> Tuple[Any, str]:
        """The standard deviation over draws of the noise, and its command."""
        wish, num_draws = self.wish(*controls), whole(num_draws, 'the number of draws')
        path = self._figure(pictures.save_noise_stddev, wish, num_draws)
        return path, pictures.stddev_command(wish, num_draws)

    def maps(self, *controls) -> Tuple[Any, str]:
        """The maps of FR, and their command."""
        wish = self.wish(*controls)
        return self._figure(pictures.save_fr_maps, wish), pictures.maps_command(wish)

    def _figure(self, save, *args):
        return histories.drawn(lambda path: save(self.networks, *args, path))


def show_layer(name: Optional[str], layers: Dict[str, LayerNoise], about: Any) -> Tuple[Any, ...]:
    """Values of the fields of a layer."""
    layer = layers.get(name or '', LayerNoise())
    has_alpha = about is not None and name in about.alphas
    alpha = round(pictures.alpha_at(about.alphas[name], layer.t), 4) if has_alpha else 0.5
    return (
        gr.Slider(value=layer.scale, label='Strength of noise in %s (times)' % name),
        layer.seed,
        gr.Number(layer.t, visible=has_alpha),
        gr.Slider(value=alpha, visible=has_alpha),
    )


def change_scale(name, layers, scale) -> Dict[str, LayerNoise]:
    """Settings of all layers after the strength of one was changed."""
    return _with_changes(name, layers, scale=scale)


def change_seed(name, layers, seed) -> Dict[str, LayerNoise]:
    """Settings of all layers after the seed of one was changed."""
    seed = None if seed is None else whole(seed, 'the seed of the layer')
    return _with_changes(name, layers, seed=seed)


def change_t(name, layers, t) -> Dict[str, LayerNoise]:
    """Settings of all layers after the t of one was changed."""
    if t is None:
        raise UserError('t must be a number')
    return _with_changes(name, layers, t=t)


def _with_changes(name, layers, **changes):
    return dict(layers, **{name: layers[name]._replace(**changes)}) if name in layers else layers


def alpha_of(name, t, about):
    """The alpha that a t makes of a layer's."""
    return round(pictures.alpha_at(about.alphas[name], t or 0), 4)


def t_of(name, alpha, about):
    """The t that makes an alpha of a layer's."""
    return pictures.with_alpha(about.alphas[name], alpha)


def build(networks: Networks, result_dir: str, network: Optional[str]) -> Tuple[gr.Blocks, dict]:
    """The page, and options of `gr.mount_gradio_app`."""
    page = Page(networks, result_dir, network)
    with gr.Blocks(
        title='StyleGAN2 viewer', fill_width=True, delete_cache=(600, 3600), analytics_enabled=False
    ) as blocks:
        with gr.Row():
            source = gr.Dropdown(label='Run', elem_id='run', scale=3)
            file = gr.Dropdown(label='Snapshot', elem_id='snapshot', scale=2)
        with gr.Tab('Image'):
            sampling, refresh = _image_tab(page, source, file)
        with gr.Tab('Walk'):
            tabs.add_walk(page, sampling)
        with gr.Tab('Projection'):
            tabs.add_projection(page, sampling)
        with gr.Tab('Runs'):
            tabs.add_runs(page, blocks)

        def start():
            names = page.sources()
            first = next(iter(names), None)
            files = list(page.files(first))
            return gr.Dropdown(names, value=first), gr.Dropdown(files, value=files[0])

        refresh(blocks.load(told(start), None, [source, file], **QUIET))
        chosen = source.input(told(page.choose_source), source, file, **QUIET)
        refresh(chosen)
        refresh(file.input(lambda: None, **QUIET))
    return blocks, dict(css=CSS, theme=gr.themes.Base(font=FONTS, font_mono=['monospace']))


def _image_tab(page, source, file):
    """Controls and pictures of an image.

    Returns: (controls of all but its changes, function that has all follow a new network).
    """
    layers, about = gr.State({}), gr.State(None)
    with gr.Row():
        with gr.Column(scale=2, min_width=320):
            seed = gr.Number(0, label='Seed', minimum=0, precision=0, elem_id='seed')
            psi = gr.Slider(-1, 2, 0.5, step=0.05, label='Truncation psi', elem_id='psi')
            class_index = gr.Slider(0, 1, 0, step=1, label='Class', visible=False, elem_id='class')
            noise = gr.Radio(pictures.NOISES, value='random', label='Noise', elem_id='noise')
            with gr.Accordion('Styles of a second seed', open=False, elem_id='mixing') as mixing:
                is_mixed = gr.Checkbox(label='Mix styles', elem_id='mix')
                mix_seed = gr.Number(
                    1, label='Second seed', minimum=0, precision=0, elem_id='mix-seed'
                )
                first = gr.Slider(0, 1, 0, step=1, label='First style', elem_id='first')
                last = gr.Slider(0, 1, 1, step=1, label='Last style', elem_id='last')
            with gr.Accordion('Noise of layers', open=False, elem_id='layers') as noise_part:
                switched_on = gr.CheckboxGroup(label='Layers with noise', elem_id='switched-on')
                layer = gr.Dropdown(label='Change layer', elem_id='layer')
                scale = gr.Slider(
                    -4, 8, 1, step=0.05, label='Strength of noise (times)', elem_id='strength'
                )
                own_seed = gr.Number(None, label="Seed (empty: the image's)", elem_id='layer-seed')
                alpha = gr.Slider(0.001, 0.999, 0.5, step=0.001, label='alpha', elem_id='alpha')
                t = gr.Number(1, label='t, exponent of alpha', step=0.1, elem_id='t')
        with gr.Column(scale=5):
            with gr.Row():
                image = _picture('Image', 'image')
                change = _picture('Difference to no changes', 'difference')
            command = command_box()
            with gr.Column(visible=False) as effects:
                with gr.Row():
                    num_draws = gr.Number(
                        20, label='Draws of noise', precision=0, minimum=2, elem_id='draws'
                    )
                    stddev = gr.Button('Standard deviation', elem_id='stddev')
                    maps = gr.Button('Maps s and sigma', elem_id='maps')
                figure = gr.Image(show_label=False, format='png', elem_id='figure', **SHOWN)
                figure_command = command_box('Command that makes the figure again')
    sampling = [source, file, seed, psi, class_index, noise]
    changes = [is_mixed, mix_seed, first, last, switched_on, layers]
    fields, all_controls = [scale, own_seed, t, alpha], sampling + changes
    shown = [image, change, command]
    latest = dict(trigger_mode='always_last', **QUIET)
    drawing = dict(fn=told(page.draw), inputs=all_controls, outputs=shown, **latest)
    plain = [seed, psi, class_index, noise, is_mixed, mix_seed, first, last, switched_on]
    gr.on([each.input for each in plain], **drawing)
    # One after the other, each of its own field: quick changes of several fields all stay.
    setting = dict(outputs=layers, concurrency_limit=1, concurrency_id='layers', **latest)
    for field, function in [(scale, change_scale), (own_seed, change_seed)]:
        field.input(told(function), [layer, layers, field], **setting).success(**drawing)
    for moved, other, function in [(t, alpha, alpha_of), (alpha, t, t_of)]:
        event = moved.input(told(function), [layer, moved, about], other, **latest)
        event.success(told(change_t), [layer, layers, t], **setting).success(**drawing)
    layer.input(told(show_layer), [layer, layers, about], fields, **QUIET)
    options = dict(inputs=all_controls, outputs=[figure, figure_command], **PRIVATE)
    stddev.click(told(page.stddev), **dict(options, inputs=[num_draws] + all_controls))
    maps.click(told(page.maps), **options)

    def refresh(event):
        offered = [class_index, mixing, first, last, noise_part, switched_on, layer, layers, about]
        offered += [effects, maps, *fields]
        inputs = [source, file, switched_on, layers]
        event.success(told(page.choose_file), inputs, offered, **QUIET).success(**drawing)

    return sampling, refresh


def _picture(label, elem_id):
    return gr.Image(
        label=label, format='png', height=340, elem_id=elem_id, elem_classes='pixels', **SHOWN
    )
