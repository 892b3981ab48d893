"""The node: images in; mask, detections and diagnostics out."""

from __future__ import annotations

from typing import Any

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy
from rosidl_runtime_py import set_message_fields
from sensor_msgs.msg import CompressedImage, Image
from vision_msgs.msg import Detection2DArray

from oodseg import S2M, OodsegError
from oodseg_ros.conversion import decode_compressed, detections, header_of, mask_image, to_pixels
from oodseg_ros.health import Health

# The newest image alone: one that waited while another was answered is old news.
NEWEST = QoSProfile(depth=1, history=HistoryPolicy.KEEP_LAST, reliability=ReliabilityPolicy.BEST_EFFORT)
PARAMETERS = {"model": "street", "operating_point": "quiet", "device": "auto", "compressed": False}


class UnknownObjects(Node):
    """Answers every image of the topic `image` with a mask and detections that carry the image's header."""

    def __init__(self) -> None:
        super().__init__("unknown_objects")
        given = {name: self.declare_parameter(name, value).value for name, value in PARAMETERS.items()}
        self.decode = decode_compressed if given.pop("compressed") else to_pixels
        self.s2m = S2M.from_pretrained(given.pop("model"), **given)
        self.health = Health(self.get_name(), self.s2m.device, self.now())
        self.masks = self.create_publisher(Image, "~/mask", 1)
        self.detections = self.create_publisher(Detection2DArray, "~/detections", 1)
        self.diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 1)
        kind = CompressedImage if self.decode is decode_compressed else Image
        self.images = self.create_subscription(kind, "image", self.answer, NEWEST)
        self.timer = self.create_timer(1.0, self.report)

    def now(self) -> float:
        """Gives the time of the node's clock, in seconds."""
        return self.get_clock().now().nanoseconds / 1e9

    def answer(self, message: Any) -> None:
        """Publishes what is found in an image; one that cannot be used is named once and counted."""
        try:
            prediction = self.s2m(self.decode(message))
        except OodsegError as error:
            if self.health.fault != str(error):
                self.get_logger().error(str(error))
            self.health.refused(str(error), self.now())
            return
        header = header_of(message)
        self.masks.publish(filled(Image, mask_image(prediction, header)))
        self.detections.publish(filled(Detection2DArray, detections(prediction, header)))
        stamp = message.header.stamp
        self.health.answered(prediction, self.now(), stamp.sec + stamp.nanosec / 1e9)

    def report(self) -> None:
        """Publishes how the node fares."""
        fields = {
            "header": {
                "stamp": dict(
                    zip(("sec", "nanosec"), self.get_clock().now().seconds_nanoseconds(), strict=True)
                )
            },
            "status": [self.health.status(self.now())],
        }
        self.diagnostics.publish(filled(DiagnosticArray, fields))


def filled(kind: Any, fields: dict[str, Any]) -> Any:
    """Makes a message of a class and the values of its fields."""
    message = kind()
    set_message_fields(message, fields)
    return message


def main() -> None:
    """Runs the node until it is stopped."""
    rclpy.init()
    try:
        node = UnknownObjects()
    except OodsegError as error:
        rclpy.shutdown()
        raise SystemExit(f"oodseg_ros: {error}") from None
    try:
        rclpy.spin(node)
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    finally:
        node.destroy_node()
        rclpy.try_shutdown()


if __name__ == "__main__":
    main()
