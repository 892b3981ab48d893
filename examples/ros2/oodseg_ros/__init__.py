"""Unknown objects of a camera image as ROS 2 messages."""
