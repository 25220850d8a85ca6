"""What `make docs` adds to the pages of docs/: a hook of MkDocs, see mkdocs.yml.

The site has more pages than docs/: README.md is its start, and the notebook is shown with its
output. Pages name each other in backquotes, for those who read them as text; here the names are
links, so that a page that is not there is a warning, and with --strict an error.
"""

import json
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FROM_ROOT = {'README.md': 'index.md'}
FROM_ROOT.update({name: name for name in ('CONTRIBUTING.md', 'CHANGELOG.md', 'SECURITY.md')})
NOTEBOOK, NOTEBOOK_PAGE = 'notebook.ipynb', 'notebook.md'

_FENCED = re.compile(r'^(```.*?^```$)', re.DOTALL | re.MULTILINE)
_NAME = re.compile(r'`(?:docs/([\w-]+\.(?:md|ipynb))|(%s))`' % '|'.join(map(re.escape, FROM_ROOT)))


def on_files(files, config):
    """Add the pages that are not in docs/."""
    from mkdocs.structure.files import File

    for name, page in FROM_ROOT.items():
        text = (ROOT / name).read_text(encoding='utf-8').replace('](docs/', '](')
        files.append(File.generated(config, page, content=text))
    text = notebook_as_markdown((ROOT / 'docs' / NOTEBOOK).read_text(encoding='utf-8'))
    files.append(File.generated(config, NOTEBOOK_PAGE, content=text))
    return files


def on_page_markdown(markdown, **_kwargs):
    """Make links of the names of pages."""
    return with_links(markdown)


def with_links(markdown: str) -> str:
    """Markdown in which names of pages in backquotes are links, but not in code."""
    parts = _FENCED.split(markdown)
    return ''.join(part if index % 2 else _linked(part) for index, part in enumerate(parts))


def _linked(text):
    return ''.join(
        line if line.startswith(' ' * 4) else _NAME.sub(_link, line)
        for line in text.splitlines(keepends=True)
    )


def _link(match):
    page = match.group(1) or FROM_ROOT[match.group(2)]
    page = NOTEBOOK_PAGE if page == NOTEBOOK else page
    return '[%s](%s)' % (match.group(0), page)


def notebook_as_markdown(text: str) -> str:
    """A notebook with its output, as a page."""
    parts = []
    for cell in json.loads(text)['cells']:
        source = ''.join(cell['source'])
        if cell['cell_type'] == 'markdown':
            parts.append(source)
            continue
        parts.append('```python\n%s\n```' % source)
        for output in cell['outputs']:
            if 'text' in output:
                parts.append('```text\n%s```' % ''.join(output['text']))
            elif 'image/png' in output.get('data', {}):
                png = ''.join(output['data']['image/png']).strip()
                parts.append('![Output of the cell above](data:image/png;base64,%s)' % png)
    return '\n\n'.join(parts) + '\n'
