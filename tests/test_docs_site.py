"""tools/docs_site.py, which makes a site of README and docs; `make docs` builds it, in CI too."""

import json
import re
from pathlib import Path

from tools import docs_site

ROOT = Path(__file__).resolve().parent.parent


def test_names_of_pages_become_links_but_not_in_code():
    text = 'See `docs/paper.md` and `README.md`, not `docs/a.png`.\n\n    cat `docs/paper.md`\n'
    code = '```\n`docs/paper.md`\n```\n'
    want = text.replace('See `docs/paper.md`', 'See [`docs/paper.md`](paper.md)')
    want = want.replace('and `README.md`', 'and [`README.md`](index.md)')
    assert docs_site.with_links(text + code + text) == want + code + want


def test_the_notebook_is_a_page_with_its_pictures():
    cells = [
        dict(cell_type='markdown', source=['# Title\n', 'Text']),
        dict(
            cell_type='code',
            source=['f()'],
            outputs=[dict(text=['1\n', '2\n']), dict(data={'image/png': 'AAAA\n'})],
        ),
    ]
    assert docs_site.notebook_as_markdown(json.dumps(dict(cells=cells))) == (
        '# Title\nText\n\n```python\nf()\n```\n\n```text\n1\n2\n```\n\n'
        '![Output of the cell above](data:image/png;base64,AAAA)\n'
    )


def test_every_page_has_a_place_and_nothing_comes_from_other_servers():
    settings = (ROOT / 'mkdocs.yml').read_text(encoding='utf-8')
    pages = set(re.findall(r'[\w/-]+\.md$', settings, re.MULTILINE))
    docs = ROOT / 'docs'
    here = {path.relative_to(docs).as_posix() for path in docs.rglob('*.md')}
    assert pages == here | set(docs_site.FROM_ROOT.values()) | {docs_site.NOTEBOOK_PAGE}
    assert 'font: false' in settings and 'http' not in settings
