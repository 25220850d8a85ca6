"""Network: a build function together with its variables, sub-networks and saved state.

A build function makes ops from input tensors; it is called once for the template graph, which
creates the variables, and again, sharing them, for every `get_output_for`.
"""

import functools
import re
from collections import OrderedDict
from typing import Any, Callable, List, Optional, Tuple, Union

import numpy as np
import tensorflow.compat.v1 as tf

from dnnlib import util
from dnnlib.options import named
from dnnlib.tflib import layout, network_code, network_options, network_run, network_table, tfutil
from dnnlib.tflib.averaging import network_updates
from dnnlib.tflib.random import stream

_import_handlers = []  # type: List[Callable[[dict], dict]]
_restoring = []  # type: List[str]  # names of networks that are built from files by local code


def import_handler(handler: Callable[[dict], dict]) -> Callable[[dict], dict]:
    """Register a function that turns the saved state of an old network into one that loads here."""
    _import_handlers.append(handler)
    return handler


class Network:
    """A neural network: `func_name` says how to build it, `static_kwargs` with what options.

    Args:
        name: network name, [A-Za-z0-9_.-]; default: the name of the build function.
        func_name: dotted name of a top-level build function, or the function itself. Its parameters
            without default are the inputs; it gets tensors for them, static and dynamic kwargs,
            and, if it names them, `is_template_graph` and `components` (an EasyDict for its
            sub-networks). It sets the inputs' shapes, and returns a tensor or a tuple.
        static_kwargs: options passed at every evaluation; saved with the network, so they must be
            picklable.

    Attributes:
        scope: variable scope, unique in the graph. own_vars: local name -> variable; vars: with
            those of the components; trainables: the trainable ones of vars. var_global_to_local:
            names.
        input_names, input_shapes, input_templates and the same for output: lists; input_shape and
            output_shape: the first. num_inputs, num_outputs.

    Raises:
        UserError: the build function does not take an option, see `dnnlib.options`.
    """

    def __init__(
        self,
        name: Optional[str] = None,
        func_name: Union[str, Callable, None] = None,
        **static_kwargs,
    ):
        tfutil.assert_tf_initialized()
        assert util.is_pickleable(static_kwargs), 'static_kwargs must be picklable'
        if not isinstance(func_name, str):
            assert func_name is not None and util.is_top_level_function(func_name)
            func_name = util.get_top_level_function_name(func_name)
        if _restoring:
            raise util.UserError('a component of network %r is not in the file' % _restoring[-1])
        module, local_name = util.get_module_from_obj_name(func_name)
        code = network_code.of_module(module, local_name)
        what = 'network %r' % (name or code.func_name)
        network_options.check_static(what, code.func, static_kwargs)
        self._setup(name, code, static_kwargs, {})
        self.reset_own_vars()

    def _setup(self, name, code, static_kwargs, components, saved=None):
        """Build the template; `saved`: local name -> array that the own variables must fit."""
        self._code = code
        self.name = code.func_name if name is None else name
        assert re.match(r'^[A-Za-z0-9_.\-]*$', self.name), 'illegal network name: ' + self.name
        self.static_kwargs = util.EasyDict(static_kwargs)
        self.components = util.EasyDict(components)
        self._run_cache = {}
        if saved is None:
            self._build_template()
            return
        _restoring.append(self.name)
        try:
            self._build_template(functools.partial(self._fitting_variable, saved))
        finally:
            _restoring.pop()
        self._check_fit(saved)

    def _build_template(self, custom_getter=None):
        self.input_names = network_options.input_names(self._code.func)
        self.num_inputs = len(self.input_names)
        assert self.num_inputs >= 1, 'a build function needs at least one input'
        with tf.name_scope(None):
            self.scope = tf.get_default_graph().unique_name(self.name.replace('/', '_'))

        # Never run, only looked at: so in the layout of the interfaces on every device.
        variable_scope = tfutil.absolute_variable_scope(self.scope, custom_getter=custom_getter)
        name_scope = tfutil.absolute_name_scope(self.scope)
        draws = stream('template')  # so that it takes no number of another stream's
        with tf.control_dependencies(None), layout.use('NCHW'), draws, variable_scope, name_scope:
            self.input_templates = [tf.placeholder(tf.float32, name=n) for n in self.input_names]
            outputs = self._call_build_func(self.input_templates, {}, is_template_graph=True)
        self.output_templates = _as_list(outputs)
        self.num_outputs = len(self.output_templates)
        self.output_names = [t.name.split('/')[-1].split(':')[0] for t in self.output_templates]
        for what, templates in [('input', self.input_templates), ('output', self.output_templates)]:
            if any(t.shape.ndims is None for t in templates):
                text = '%s: the build function leaves the rank of an %s unknown'
                raise ValueError(text % (self._code.func_name, what))
        self._check_components()
        self.input_shapes = [t.shape.as_list() for t in self.input_templates]
        self.output_shapes = [t.shape.as_list() for t in self.output_templates]
        self.input_shape, self.output_shape = self.input_shapes[0], self.output_shapes[0]

        prefix = self.scope + '/'
        own = [v for v in tf.global_variables() if v.name.startswith(prefix)]
        self.own_vars = OrderedDict((v.name[len(prefix) :].split(':')[0], v) for v in own)
        self.vars = OrderedDict(self.own_vars)
        for component in self.components.values():
            for local_name, var in component.vars.items():
                self.vars[component.name + '/' + local_name] = var
        self.trainables = OrderedDict((n, v) for n, v in self.vars.items() if v.trainable)
        names = OrderedDict((v.name.split(':')[0], n) for n, v in self.vars.items())
        self.var_global_to_local = names

    def _call_build_func(self, inputs, dynamic_kwargs, is_template_graph):
        own = dict(is_template_graph=is_template_graph, components=self.components)
        func, static_kwargs = self._code.func, self.static_kwargs
        return func(*inputs, **network_options.for_call(func, static_kwargs, dynamic_kwargs, **own))

    def _check_components(self):
        for key, component in self.components.items():
            if not isinstance(component, Network):
                raise ValueError('component %r of %s is not a Network' % (key, self.name))
        names = [component.name for component in self.components.values()]
        if len(set(names)) != len(names):
            raise ValueError('components of %s share a name: %s' % (self.name, ', '.join(names)))

    def get_output_for(
        self, *in_expr: Optional[tf.Tensor], return_as_list: bool = False, **dynamic_kwargs
    ) -> Union[tf.Tensor, Tuple[tf.Tensor, ...], list]:
        """Build the network's ops for input tensors, with its variables.

        A None input stands for zeros. `dynamic_kwargs` override the static ones; of those in
        `network_options.EVALUATION_OPTIONS`, a build function gets what it takes.

        Raises:
            UserError: the build function does not take another option, or is asked for w that it
                does not return.
        """
        assert len(in_expr) == self.num_inputs and any(x is not None for x in in_expr)
        self._check_dynamic(dynamic_kwargs)
        variable_scope = tfutil.absolute_variable_scope(self.scope, reuse=True)
        with variable_scope, tf.name_scope(self.name), layout.use(layout.for_network()):
            given = next(x for x in in_expr if x is not None)
            inputs = []
            for x, name, shape in zip(in_expr, self.input_names, self.input_shapes):
                if x is None:
                    x = tf.zeros([tf.shape(given)[0]] + shape[1:])
                inputs.append(tf.identity(x, name=name))
            outputs = self._call_build_func(inputs, dynamic_kwargs, is_template_graph=False)
        for x, built in zip(in_expr, inputs):
            if x is not None and isinstance(x, tf.Tensor):
                x.set_shape(built.shape)  # tell the caller what the build function required
        return _as_list(outputs) if return_as_list else outputs

    def _check_dynamic(self, dynamic_kwargs, others=()):
        what, func = 'network %r' % self.name, self._code.func
        network_options.check_dynamic(what, func, self.static_kwargs, dynamic_kwargs, others)

    def takes(self, option: str) -> bool:
        """Whether the build function of this network or of a component has such a parameter."""
        return option in named(self._code.func, self.static_kwargs)[0] or any(
            component.takes(option) for component in self.components.values()
        )

    def reset_own_vars(self) -> None:
        """Give the network's variables, without those of components, their initial values."""
        tfutil.run([v.initializer for v in self.own_vars.values()])

    def reset_vars(self) -> None:
        """Give all variables their initial values."""
        tfutil.run([v.initializer for v in self.vars.values()])

    def reset_trainables(self) -> None:
        """Give the trainable variables their initial values."""
        tfutil.run([v.initializer for v in self.trainables.values()])

    def find_var(self, var_or_local_name: Union[str, tf.Variable]) -> tf.Variable:
        """The variable of that local name; a variable is returned as it is."""
        is_name = isinstance(var_or_local_name, str)
        return self.vars[var_or_local_name] if is_name else var_or_local_name

    def get_var(self, var_or_local_name: Union[str, tf.Variable]) -> np.ndarray:
        """Value of a variable."""
        return self.find_var(var_or_local_name).eval()

    def set_var(self, var_or_local_name: Union[str, tf.Variable], new_value: Any) -> None:
        """Assign a value to a variable."""
        tfutil.set_vars({self.find_var(var_or_local_name): new_value})

    def get_var_local_name(self, var_or_global_name: Union[str, tf.Variable]) -> str:
        """Local name of a variable, given it or its global name."""
        name = getattr(var_or_global_name, 'name', var_or_global_name)
        return self.var_global_to_local[name.split(':')[0]]

    def clone(self, name: Optional[str] = None, **new_static_kwargs) -> 'Network':
        """Copy the network with its weights; static kwargs may be overridden."""
        return self._derive(self._code, name or self.name, new_static_kwargs)

    def convert(
        self, new_func_name: str, new_name: Optional[str] = None, **new_static_kwargs
    ) -> 'Network':
        """Make a network with another build function and take over the variables of equal name."""
        code = network_code.of_module(*util.get_module_from_obj_name(new_func_name))
        return self._derive(code, new_name or self.name, new_static_kwargs)

    def _derive(self, code, name, new_static_kwargs):
        kept = self.static_kwargs
        network_options.check_static('network %r' % name, code.func, new_static_kwargs, kept=kept)
        derived = object.__new__(Network)
        derived._setup(name, code, dict(self.static_kwargs, **new_static_kwargs), {})
        derived.reset_own_vars()
        derived.copy_vars_from(self)
        return derived

    def copy_own_vars_from(self, src_net: 'Network') -> None:
        """Copy the own variables that both networks have."""
        _copy_vars(src_net.own_vars, self.own_vars)

    def copy_vars_from(self, src_net: 'Network') -> None:
        """Copy all variables that both networks have."""
        _copy_vars(src_net.vars, self.vars)

    def copy_trainables_from(self, src_net: 'Network') -> None:
        """Copy the trainable variables that both networks have."""
        _copy_vars(src_net.trainables, self.trainables)

    def setup_as_moving_average_of(
        self, src_net: 'Network', beta=0.99, beta_nontrainable=0.0
    ) -> tf.Operation:
        """Op that moves variables to src + (self - src) * beta, each kind with its own beta."""
        with tfutil.absolute_name_scope(self.scope + '/_MovingAvg'):
            return tf.group(*network_updates(self, src_net, beta, beta_nontrainable))

    def run(self, *in_arrays: Optional[np.ndarray], **kwargs) -> Any:
        """Evaluate for NumPy arrays; see `network_run.run` for the options."""
        dynamic = {name: kwargs[name] for name in kwargs if name not in network_run.OPTIONS}
        self._check_dynamic(dynamic, network_run.OPTIONS)
        return network_run.run(self, in_arrays, self._run_cache, **kwargs)

    def list_ops(self) -> List[tf.Operation]:
        """Ops of the template graph."""
        return network_table.list_ops(self)

    def list_layers(self) -> List[Tuple[str, tf.Tensor, List[tf.Variable]]]:
        """Layers of the template graph: (name, output, trainable variables)."""
        return network_table.list_layers(self)

    def print_layers(
        self, title: Optional[str] = None, hide_layers_with_no_params: bool = False
    ) -> None:
        """Print a table of the layers with parameters, output and weight shapes."""
        print(network_table.format_layers(self, title, hide_layers_with_no_params))

    def setup_weight_histograms(self, title: Optional[str] = None) -> None:
        """Add a histogram summary for each trainable variable."""
        title = self.name if title is None else title
        with tf.name_scope(None), tf.device(None), tf.control_dependencies(None):
            for local_name, var in self.trainables.items():
                parts = local_name.split('/')
                group = title + '_' + parts[-1] if len(parts) > 1 else title + '_toplevel'
                tf.summary.histogram(group + '/' + ('_'.join(parts[:-1]) or parts[-1]), var)

    def __getstate__(self) -> dict:
        """State of format version 4, as upstream's."""
        names = list(self.own_vars)
        values = tfutil.run(list(self.own_vars.values())) if names else []
        return dict(
            version=4,
            name=self.name,
            static_kwargs=network_options.interned(self.static_kwargs),
            components=dict(self.components),
            build_module_src=self._code.source,
            build_func_name=self._code.func_name,
            variables=list(zip(names, values)),
        )

    def __setstate__(self, state: dict) -> None:
        tfutil.assert_tf_initialized()
        for handler in _import_handlers:
            state = handler(state)
        if state.get('version') not in (2, 3, 4):
            text = 'network %r has the unknown format version %r; 2, 3 and 4 can be loaded'
            raise util.UserError(text % (state.get('name'), state.get('version')))
        code = network_code.of_state(state)
        values = OrderedDict(state['variables'])
        self._setup(
            state['name'],
            code,
            state['static_kwargs'],
            state.get('components', {}),
            None if code.from_pickle else values,
        )
        self.reset_own_vars()
        tfutil.set_vars({self.own_vars[name]: value for name, value in values.items()})

    def _fitting_variable(self, saved, getter, name, shape=None, *args, **kwargs):
        """A variable of the template, which the file must have, before more of it is built."""
        if shape is not None and name.startswith(self.scope + '/'):
            local_name = name[len(self.scope) + 1 :]
            shape_here = tuple(tf.TensorShape(shape).as_list())
            if local_name not in saved or np.shape(saved[local_name]) != shape_here:
                self._refuse(local_name, saved, shape_here)
        return getter(name, shape, *args, **kwargs)

    def _check_fit(self, saved):
        """The local build function stands in for the saved code only if all variables fit."""
        have = {name: tuple(var.shape.as_list()) for name, var in self.own_vars.items()}
        want = {name: np.shape(value) for name, value in saved.items()}
        if have != want:
            name = sorted(set(have.items()) ^ set(want.items()))[0][0]
            self._refuse(name, saved, have.get(name, 'absent'))

    def _refuse(self, name, saved, shape_here):
        raise util.UserError(
            'network %r does not fit the local %s: variable %s is %s in the file and %s here; '
            'to run the code saved in the file, if you trust its source, pass '
            '--trust-network-code'
            % (
                self.name,
                self._code.func_name,
                name,
                np.shape(saved[name]) if name in saved else 'absent',
                shape_here,
            )
        )


def _copy_vars(sources, targets):
    names = [name for name in targets if name in sources]
    values = tfutil.run([sources[name] for name in names]) if names else []
    tfutil.set_vars({targets[name]: value for name, value in zip(names, values)})


def _as_list(outputs):
    return list(outputs) if isinstance(outputs, tuple) else [outputs]
