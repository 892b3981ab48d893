"""Installs the node as an ament_python package; `colcon build` calls this."""

from setuptools import setup

NAME = "oodseg_ros"

setup(
    name=NAME,
    version="0.1.0",
    description="Outlines every object of a camera image that a street-scene model was never taught.",
    license="Apache-2.0",
    maintainer="The oodseg authors",
    maintainer_email="oodseg@users.noreply.github.com",
    packages=[NAME],
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{NAME}"]),
        (f"share/{NAME}", ["package.xml"]),
        (f"share/{NAME}/launch", ["launch/oodseg.launch.py"]),
    ],
    install_requires=["setuptools", "oodseg"],
    zip_safe=True,
    entry_points={"console_scripts": [f"unknown_objects = {NAME}.node:main"]},
)
