from pathlib import Path

import pytest

from oodseg.core.errors import ConfigError, DatasetError, ImageError
from oodseg.data.msd_layout import read_layout
from oodseg.io.volume_formats import is_foreign_volume, is_volume, volume_name
from oodseg.io.volumes import read_labels, read_volume
from oodseg.runs.items import open_source

GZIP = b"\x1f\x8b" + bytes(200)


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("s.mgz", GZIP, r"a FreeSurfer volume, not NIfTI: run `mri_convert \S+s\.mgz \S+s\.nii\.gz`$"),
        ("s.MGH", bytes(400), "a FreeSurfer volume, not NIfTI: run `mri_convert"),
        ("s.mnc", bytes(400), "a MINC volume, not NIfTI: run `mnc2nii"),
        ("s.nrrd", b"NRRD0004\n", r"an NRRD volume, not NIfTI: open it in 3D Slicer .* as \S+s\.nii\.gz$"),
        ("s.nii", b"NRRD0004\n", "an NRRD volume, not NIfTI"),
        ("s.nhdr", b"NRRD0004\n", "an NRRD volume, not NIfTI"),
        ("s.mha", b"ObjectType = Image\n", "a MetaImage volume, not NIfTI"),
        ("s.mhd", b"NDims = 3\n", "a MetaImage volume, not NIfTI"),
        ("s.gipl", bytes(400), "a GIPL volume, not NIfTI"),
        ("s.dcm", bytes(400), "a DICOM file: make NIfTI of its series with `dcm2niix"),
        ("IM0001", bytes(128) + b"DICM" + bytes(9), "a DICOM file: make NIfTI of its series with `dcm2niix"),
        ("s.nii.gz", bytes(128) + b"DICM" + bytes(9), "a DICOM file"),
    ],
)
@pytest.mark.parametrize("read", [read_volume, read_labels])
def test_volumes_of_other_formats_come_with_the_way_to_nifti(tmp_path, name, data, words, read):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(ImageError, match=f"{name} is {words}"):
        read(tmp_path / name)


@pytest.mark.parametrize("name", ["s.nii", "s.NII.gz", "s.mgz", "s.nrrd", "s.mha"])
def test_volumes_are_no_images(tmp_path, name):
    (tmp_path / name).write_bytes(GZIP)
    with pytest.raises(ConfigError, match=f"{name} is a volume: its labels are judged with `oodseg volumes`"):
        open_source(tmp_path / name)


def test_training_data_of_another_format_is_said(tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a.nrrd").write_bytes(b"NRRD0004\n")
    with pytest.raises(DatasetError, match=r"a\.nrrd is an NRRD volume, not NIfTI: open it in"):
        read_layout(tmp_path, structures={1: "liver"})


@pytest.mark.parametrize(("name", "stem"), [("a.b.nii.gz", "a.b"), ("A.NII", "A"), ("s.mgz", "s")])
def test_names(name, stem):
    assert volume_name(Path(name)) == stem
    assert is_volume(name) == ("nii" in name.lower())
    assert is_foreign_volume(Path(name)) == name.endswith("mgz")
