from dataclasses import dataclass, field

import numpy as np

from oodseg.evaluation.labels import Labels


@dataclass
class Frame:
    reads: list = field(default_factory=list)

    @property
    def label(self):
        self.reads.append(1)
        return np.zeros((4, 5), np.uint8)


def test_labels_are_read_once_while_there_is_room():
    frames = [Frame(), Frame(), Frame()]
    labels = Labels(frames, room=40)
    for _ in range(3):
        assert [labels[index].shape for index in range(3)] == [(4, 5)] * 3
    assert [len(frame.reads) for frame in frames] == [1, 1, 3]
