"""As much of ROS 2 as the node of `examples/ros2` touches: messages by their definitions, and a node."""

import sys
from array import array
from types import MappingProxyType, ModuleType, SimpleNamespace

# Field and type of the messages' definitions (sensor_msgs, vision_msgs 4, diagnostic_msgs, std_msgs).
DEFINITIONS = {
    "Time": {"sec": int, "nanosec": int},
    "Header": {"stamp": "Time", "frame_id": str},
    "Image": {
        "header": "Header", "height": int, "width": int, "encoding": str, "is_bigendian": int, "step": int,
        "data": array,
    },
    "CompressedImage": {"header": "Header", "format": str, "data": array},
    "Point2D": {"x": float, "y": float},
    "Pose2D": {"position": "Point2D", "theta": float},
    "BoundingBox2D": {"center": "Pose2D", "size_x": float, "size_y": float},
    "ObjectHypothesis": {"class_id": str, "score": float},
    "ObjectHypothesisWithPose": {"hypothesis": "ObjectHypothesis"},
    "Detection2D": {
        "header": "Header", "results": ["ObjectHypothesisWithPose"], "bbox": "BoundingBox2D", "id": str,
    },
    "Detection2DArray": {"header": "Header", "detections": ["Detection2D"]},
    "KeyValue": {"key": str, "value": str},
    "DiagnosticStatus": {
        "level": bytes, "name": str, "message": str, "hardware_id": str, "values": ["KeyValue"],
    },
    "DiagnosticArray": {"header": "Header", "status": ["DiagnosticStatus"]},
}  # fmt: skip


class Message:
    """A message with the fields of its definition, and no other."""

    kind = ""

    def __init__(self):
        for name, kind in DEFINITIONS[self.kind].items():
            empty = [] if isinstance(kind, list) else array("B") if kind is array else None
            self.__dict__[name] = empty if empty is not None else made(kind)


CLASSES = {kind: type(kind, (Message,), {"kind": kind}) for kind in DEFINITIONS}


def made(kind):
    return CLASSES[kind]() if isinstance(kind, str) else kind()


def set_message_fields(message, values):
    """What `rosidl_runtime_py.set_message_fields` does, as strict about names and types."""
    for name, value in values.items():
        kind = DEFINITIONS[message.kind][name]
        if isinstance(kind, list):
            message.__dict__[name] = [filled(kind[0], each) for each in value]
        elif isinstance(kind, str):
            message.__dict__[name] = filled(kind, value)
        elif kind is array:
            message.__dict__[name] = array("B", value)
        else:
            assert type(value) is kind, f"{message.kind}.{name} is {kind.__name__}, not {value!r}"
            message.__dict__[name] = value


def filled(kind, values):
    message = CLASSES[kind]()
    set_message_fields(message, values)
    return message


class Node:
    """Keeps what is published, by topic."""

    parameters = MappingProxyType({})
    seconds = 100.0

    def __init__(self, name):
        self.name, self.published, self.errors, self.handlers = name, {}, [], {}

    def get_name(self):
        return self.name

    def declare_parameter(self, name, value):
        return SimpleNamespace(value=self.parameters.get(name, value))

    def create_publisher(self, kind, topic, depth):
        kept = self.published[topic] = []

        def publish(message):
            assert type(message) is kind
            kept.append(message)

        return SimpleNamespace(publish=publish)

    def create_subscription(self, kind, topic, handler, quality):
        self.handlers[topic] = handler
        return (kind, topic, quality)

    def create_timer(self, period, handler):
        self.handlers[period] = handler
        return handler

    def get_clock(self):
        now = SimpleNamespace(
            nanoseconds=int(self.seconds * 1e9), seconds_nanoseconds=lambda: (int(self.seconds), 0)
        )
        return SimpleNamespace(now=lambda: now)

    def get_logger(self):
        return SimpleNamespace(error=self.errors.append)

    def destroy_node(self):
        self.published.clear()


def modules():
    """The modules that the node imports, by name."""
    qos = {
        "QoSProfile": SimpleNamespace,
        "HistoryPolicy": SimpleNamespace(KEEP_LAST=1),
        "ReliabilityPolicy": SimpleNamespace(BEST_EFFORT=2),
    }
    contents = {
        "rclpy": {},
        "rclpy.node": {"Node": Node},
        "rclpy.executors": {"ExternalShutdownException": type("ExternalShutdownException", (Exception,), {})},
        "rclpy.qos": qos,
        "rosidl_runtime_py": {"set_message_fields": set_message_fields},
        "sensor_msgs.msg": {name: CLASSES[name] for name in ("Image", "CompressedImage")},
        "vision_msgs.msg": {"Detection2DArray": CLASSES["Detection2DArray"]},
        "diagnostic_msgs.msg": {"DiagnosticArray": CLASSES["DiagnosticArray"]},
    }
    found = {}
    for name, names in contents.items():
        found[name] = ModuleType(name)
        vars(found[name]).update(names)
        found.setdefault(name.partition(".")[0], ModuleType(name.partition(".")[0]))
    return found


def install(monkeypatch):
    for name, module in modules().items():
        monkeypatch.setitem(sys.modules, name, module)
