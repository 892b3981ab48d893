import hashlib
import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from oodseg.core.fingerprint import hash_bytes, hash_file, hash_json, hash_part, hash_stream, stable_number

# Of FIPS 180-4.
ABC = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


class Network(nn.Linear):
    def __init__(self, config):
        super().__init__(2, 1)
        self.config = config
        nn.init.constant_(self.weight, 0.5)
        nn.init.constant_(self.bias, -1.0)


def test_bytes_streams_and_files_agree(tmp_path):
    (tmp_path / "abc").write_bytes(b"abc")
    assert hash_bytes(b"abc") == hash_stream([b"a", b"", b"bc"]) == hash_file(tmp_path / "abc") == ABC


def test_the_order_of_keys_does_not_matter_and_that_of_lists_does():
    assert hash_json({"a": 1, "b": [1, 2]}) == hash_json({"b": [1, 2], "a": 1})
    assert hash_json([1, 2]) != hash_json([2, 1])


def test_a_part_s_settings_and_weights_count():
    expected = hashlib.sha256(json.dumps({"a": [2], "b": 1}, sort_keys=True).encode())
    assert hash_part(SimpleNamespace(config={"b": 1, "a": [2]})) == expected.hexdigest()
    expected.update(b"bias" + np.float32([-1]).tobytes() + b"weight" + np.float32([[0.5, 0.5]]).tobytes())
    assert hash_part(Network({"b": 1, "a": [2]})) == expected.hexdigest()


@pytest.mark.parametrize("change", ["config", "weight"])
def test_a_changed_part_has_another_fingerprint(change):
    one, other = Network({"a": 1}), Network({"a": 2 if change == "config" else 1})
    if change == "weight":
        with torch.no_grad():
            other.weight[0, 0] += 1
    assert hash_part(one) != hash_part(other)
    assert hash_part(one) == hash_part(Network({"a": 1}).half()), "weights count as float32"


def test_names_are_split_the_same_everywhere():
    # SHA-1 of "abc" in FIPS 180-4.
    assert stable_number("abc") == 0xA9993E364706816ABA3E25717850C26C9CD0D89D
    assert sorted(["0", "1", "2", "3"], key=stable_number) == ["1", "3", "0", "2"]
