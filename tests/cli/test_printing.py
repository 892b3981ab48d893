from oodseg.cli.printing import say_failures


def test_many_failures_of_one_kind_are_counted(capsys):
    say_failures([f"photos/{number}.jpg is empty" for number in range(25)] + ["street.jpg does not exist"])
    said = capsys.readouterr().out.splitlines()
    assert len(said) == 21
    assert said[0] == "failed: photos/0.jpg is empty"
    assert said[19] == "failed: photos/19.jpg is empty (and 5 more like it)"
    assert said[20] == "failed: street.jpg does not exist"
