"""tf.train.Example, the message that records are, declared without TensorFlow.

TensorFlow has it too, but takes seconds to import, and making and checking data sets needs nothing
else of it. Only what images have is declared: features that are bytes or whole numbers.
"""

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_Field = descriptor_pb2.FieldDescriptorProto


def _field(name, number, kind, label=_Field.LABEL_OPTIONAL):
    if isinstance(kind, int):
        return _Field(name=name, number=number, type=kind, label=label)
    type_name = '.tensorflow.' + kind
    return _Field(
        name=name, number=number, type=_Field.TYPE_MESSAGE, type_name=type_name, label=label
    )


def _declare() -> Any:
    messages = {
        'BytesList': [_field('value', 1, _Field.TYPE_BYTES, _Field.LABEL_REPEATED)],
        'Int64List': [_field('value', 1, _Field.TYPE_INT64, _Field.LABEL_REPEATED)],
        'Feature': [_field('bytes_list', 1, 'BytesList'), _field('int64_list', 3, 'Int64List')],
        'Example': [_field('features', 1, 'Features')],
        'Features': [_field('feature', 1, 'Features.FeatureEntry', _Field.LABEL_REPEATED)],
    }
    # The features are a map, which is a repeated message of key and value.
    entry = [_field('key', 1, _Field.TYPE_STRING), _field('value', 2, 'Feature')]
    file = descriptor_pb2.FileDescriptorProto(
        name='example.proto', package='tensorflow', syntax='proto3'
    )
    for name, fields in messages.items():
        file.message_type.add(name=name, field=fields)
    nested = file.message_type[-1].nested_type.add(name='FeatureEntry', field=entry)
    nested.options.map_entry = True
    pool = descriptor_pool.DescriptorPool()  # not the one in which TensorFlow declares its own
    pool.AddSerializedFile(file.SerializeToString())
    declared = pool.FindMessageTypeByName('tensorflow.Example')
    if hasattr(message_factory, 'GetMessageClass'):
        return message_factory.GetMessageClass(declared)
    return message_factory.MessageFactory(pool).GetPrototype(declared)  # protobuf 3


Example = _declare()
