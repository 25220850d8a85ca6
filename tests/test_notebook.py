"""docs/notebook.ipynb runs, and shows its pictures to those who only look at it."""

import base64
import copy
import io
import json
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from dnnlib import program
from dnnlib.tflib import engine

ROOT = Path(__file__).resolve().parent.parent
PATH = ROOT / 'docs' / 'notebook.ipynb'
MOST_BYTES = 400000
# In place of the cell with the tag `parameters`.
SHORT = """
KIMG, NUM_DRAWS, NUM_STEPS, RESULTS, DATA = 1, 2, 2, %r, %r
OPTIONS = ['--fmap-base=64', '--fmap-max=4']
"""


def pictures(cells):
    """Pixels of all pictures, in their order."""
    outputs = [output for cell in cells for output in cell.get('outputs', [])]
    found = [output['data'].get('image/png') for output in outputs if 'data' in output]
    decoded = [io.BytesIO(base64.b64decode(png)) for png in found if png]
    return [np.asarray(PIL.Image.open(file).convert('RGB')) for file in decoded]


def test_the_file_has_the_output_of_every_cell_and_little_else():
    text = PATH.read_text(encoding='utf-8')
    assert len(text) < MOST_BYTES and str(Path.home()) not in text and str(ROOT) not in text
    cells = json.loads(text)['cells']
    code = [cell for cell in cells if cell['cell_type'] == 'code']
    assert [cell['execution_count'] for cell in code] == list(range(1, len(code) + 1))
    outputs = [output for cell in code for output in cell['outputs']]
    assert {output['output_type'] for output in outputs} == {'stream', 'execute_result'}
    shown = pictures(cells)
    assert len(shown) == 5 and min(np.ptp(pixels) for pixels in shown) > 100


@pytest.mark.skipif(engine.ENGINE == 'tf1', reason='the notebook is for TensorFlow 2')
@pytest.mark.skipif(
    program.is_missing('nbclient') or program.is_missing('ipykernel'),
    reason='requirements/notebook.txt',
)
def test_the_notebook_runs(tmp_path):
    import nbclient
    import nbformat

    notebook = nbformat.read(str(PATH), as_version=4)
    before = copy.deepcopy(notebook.cells)
    (parameters,) = [c for c in notebook.cells if 'parameters' in c.metadata.get('tags', [])]
    names = [line.partition(' = ')[0] for line in parameters.source.splitlines()]
    assert set(', '.join(names).split(', ')) == set(
        'KIMG NUM_DRAWS NUM_STEPS RESULTS DATA OPTIONS'.split()
    )
    parameters.source = SHORT % tuple(str(tmp_path / name) for name in ('results', 'datasets'))
    resources = dict(metadata=dict(path=str(PATH.parent)))
    nbclient.NotebookClient(notebook, timeout=600, resources=resources).execute()
    shown = pictures(notebook.cells)
    assert [x.ndim for x in shown] == [3] * 5
    sizes = [x.shape for x in pictures(before)]
    assert [x.shape for x in shown] == sizes
    last = notebook.cells[-1].outputs[0].text
    assert last.startswith('loss before 0.') and 'after 2 steps' in last
    assert {path.name for path in tmp_path.iterdir()} == {'results', 'datasets'}
