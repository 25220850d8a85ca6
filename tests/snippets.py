"""Python code that stands in the documentation; `test_api.py` and others run it."""

import re
from pathlib import Path
from typing import Any, Dict, List

ROOT = Path(__file__).resolve().parent.parent


def blocks(page: str) -> List[str]:
    """The blocks of Python of a Markdown file of the project, in their order."""
    text = (ROOT / page).read_text(encoding='utf-8')
    return re.findall(r'^```python\n(.*?)^```$', text, re.DOTALL | re.MULTILINE)


def run(page: str, names: Dict[str, Any]) -> None:
    """Run all of them, one after the other; `names` then has what they define."""
    for number, code in enumerate(blocks(page)):
        exec(compile(code, '%s, block %d' % (page, number + 1), 'exec'), names)
