"""Python objects by their dotted names, as pickles, configurations and command lines give them."""

import ast
import importlib
import importlib.util
import inspect
import os
import re
import sys
from types import ModuleType
from typing import Any, Callable, List, Optional, Tuple

# compat.v1 is the one name that both TensorFlow engines have.
_SHORT_NAMES = {'np': 'numpy', 'tf': 'tensorflow.compat.v1'}


def plain_name(text: str) -> str:
    """Text for the name of a file or variable: letters, digits, '_', '.', '-'; '_' for others."""
    return re.sub(r'[^A-Za-z0-9_.-]', '_', text)


def get_module_from_obj_name(obj_name: str) -> Tuple[ModuleType, str]:
    """Split a dotted name into the imported module and the rest: the object's name inside it.

    The longest module name that leads to an existing object wins. A leading 'np.' means numpy,
    'tf.' means TensorFlow's v1 interface.

    Raises:
        ImportError: there is no such module, or importing it failed.
        AttributeError: the module has no such object.
    """
    parts = re.sub(r'^(np|tf)(?=\.)', lambda m: _SHORT_NAMES[m.group()], obj_name).split('.')
    import_error = attribute_error = None
    for count in range(len(parts), 0, -1):
        module_name, local_name = '.'.join(parts[:count]), '.'.join(parts[count:])
        try:
            module = importlib.import_module(module_name)
            get_obj_from_module(module, local_name)
            return module, local_name
        except ImportError as error:
            if not str(error).startswith("No module named '%s'" % module_name):
                import_error = import_error or error
        except AttributeError as error:
            attribute_error = attribute_error or error
    raise import_error or attribute_error or ImportError(obj_name)


def get_obj_from_module(module: ModuleType, obj_name: str) -> Any:
    """Follow the dotted `obj_name` from a module; '' is the module itself."""
    obj = module
    for part in filter(None, obj_name.split('.')):
        obj = getattr(obj, part)
    return obj


def get_obj_by_name(name: str) -> Any:
    """Find the object of a dotted name such as 'training.loss.G_logistic_ns_pathreg'."""
    return get_obj_from_module(*get_module_from_obj_name(name))


def call_func_by_name(*args: Any, func_name: Optional[str] = None, **kwargs: Any) -> Any:
    """Call the function of the dotted name `func_name` with the other arguments."""
    assert func_name is not None
    func = get_obj_by_name(func_name)
    assert callable(func), func_name
    return func(*args, **kwargs)


def keys_in_source(module_name: str, table_name: str) -> List[str]:
    """The keys of a dictionary that a module writes out, without importing it if it is not.

    For names that flags take, of tables whose modules take seconds to import.
    """
    if module_name in sys.modules:
        return list(getattr(sys.modules[module_name], table_name))
    spec = importlib.util.find_spec(module_name)
    assert spec is not None and spec.origin is not None, module_name
    with open(spec.origin, encoding='utf-8') as file:
        tree = ast.parse(file.read())
    (table,) = [
        node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and getattr(node.targets[0], 'id', None) == table_name
    ]
    assert isinstance(table, ast.Dict), table_name
    return [ast.literal_eval(key) for key in table.keys if key is not None]


def is_top_level_function(obj: Any) -> bool:
    """Whether a callable can be found again by its module and its name."""
    if not (callable(obj) and hasattr(obj, '__name__')):
        return False
    return obj.__name__ in vars(sys.modules[obj.__module__])


def get_top_level_function_name(obj: Callable) -> str:
    """Dotted name of a top-level function, 'module.name'."""
    assert is_top_level_function(obj), obj
    return '%s.%s' % (obj.__module__, obj.__name__)


# What follows is here for users' scripts of official StyleGAN2.


def get_module_dir_by_obj_name(obj_name: str) -> str:
    """Folder of the source file of the module that holds an object."""
    module, _ = get_module_from_obj_name(obj_name)
    return os.path.dirname(inspect.getfile(module))
