"""Starts the node on a camera: `ros2 launch oodseg_ros oodseg.launch.py image:=/camera/image_raw`."""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

ARGUMENTS = {
    "image": ("/camera/image_raw", "Topic with the camera's images."),
    "compressed": ("false", "Whether that topic holds sensor_msgs/CompressedImage."),
    "model": ("street", "A bundled pipeline by name, or the folder of a saved one."),
    "operating_point": ("quiet", "How readily objects are reported: quiet, balanced or thorough."),
    "device": ("auto", "Where the networks run: auto, cpu or cuda."),
}


def generate_launch_description() -> LaunchDescription:
    """Declares the arguments and hands them to the node."""
    declared = [
        DeclareLaunchArgument(name, default_value=value, description=says)
        for name, (value, says) in ARGUMENTS.items()
    ]
    node = Node(
        package="oodseg_ros",
        executable="unknown_objects",
        name="unknown_objects",
        output="screen",
        remappings=[("image", LaunchConfiguration("image"))],
        parameters=[{name: LaunchConfiguration(name) for name in ARGUMENTS if name != "image"}],
    )
    return LaunchDescription([*declared, node])
