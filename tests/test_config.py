"""What a params file may say: every mistake is named, with what was found and what was expected."""

import pytest

from dmtkit.config import ClassificationConfig, make_config
from dmtkit.errors import ConfigError
from dmtkit.notebook import notebook_config
from dmtkit.params import load_params
from dmtkit.training.experiment import check


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"splt": 2}, "splt: unknown parameter"),
        ({"epoch": 2}, "did you mean 'epochs'"),
        ({"labels": "many"}, "labels: found 'many', expected a valid integer"),
        ({"labels": 2.5}, "labels: found 2.5"),
        ({"labels": 0}, "labels: found 0"),
        ({"gamma1": -1}, "gamma1: found -1, expected greater than or equal to 0"),
        ({"lr": float("nan")}, "lr: found nan"),
        ({"lr": float("inf")}, "lr: found inf"),
        ({"label_ratios": [0.4, 0.2]}, "label_ratios(.*)rising within"),
        ({"label_ratios": [0.0, 0.5]}, "rising within"),
        ({"label_ratios": [0.5, 1.5]}, "rising within"),
        ({"label_ratios": [0.5, 0.5]}, "rising within"),
        ({"label_ratios": []}, "rising within"),
        ({"seed": True}, "seed: found True, expected a whole number"),
        ({"experiment": "../x"}, "names a folder"),
        ({"experiment": "a/b"}, "names a folder"),
        ({"experiment": "..", "seed": -1}, "2 bad parameters"),
        ({"experiment": False}, "experiment(.*)YAML reads"),
        ({"dataset": "folder"}, "data_dir: missing"),
        ({"methods": []}, "at least one"),
        ({"methods": ["dmt", "dmt"]}, "each once"),
    ],
)
def test_mistakes_are_named(values, complaint):
    with pytest.raises(ConfigError, match=complaint):
        make_config(values)


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"methods": ["dtm"]}, "unknown method; did you mean 'dst' or 'dmt'"),
        ({"model": "wrn-11-2"}, "6n"),
        ({"augment": ["rotat"]}, "unknown operation; did you mean 'rotate'"),
        ({"device": "cuda:77"}, "device"),
        ({"device": "abacus"}, "device"),
        ({"device": "meta"}, "only the CPU and CUDA"),
        ({"model": "wrn-10-1000000"}, "width 1 to 32"),
        ({"published": "cifar10_400"}, "unknown table; did you mean 'cifar10_4000'"),
    ],
)
def test_what_only_the_library_knows_is_checked_before_the_start(values, complaint):
    with pytest.raises(ConfigError, match=complaint):
        check(make_config(values))


def test_numbers_as_yaml_reads_them(tmp_path):
    (tmp_path / "p.yaml").write_text("lr: 1e-3\nweight_decay: 5e-4\nseed: 3\nmethods: dmt,cl\nlabel_ratios: 0.5, 1\n")
    config = make_config(load_params(tmp_path / "p.yaml"))
    assert (config.lr, config.weight_decay, config.seed) == (1e-3, 5e-4, 3)
    assert config.methods == ("dmt", "cl")
    assert config.label_ratios == (0.5, 1.0)


@pytest.mark.parametrize("text", ["- a\n- b\n", "just text", "", "3", "1: 2"])
def test_a_params_file_that_is_no_mapping(tmp_path, text):
    (tmp_path / "p.yaml").write_text(text)
    with pytest.raises(ConfigError, match="expected a mapping"):
        load_params(tmp_path / "p.yaml")


def test_unreadable_params_files(tmp_path):
    with pytest.raises(ConfigError, match="no such params file"):
        load_params(tmp_path / "p.yaml")
    (tmp_path / "p.yaml").write_text("a: [1")
    with pytest.raises(ConfigError, match="not valid YAML"):
        load_params(tmp_path / "p.yaml")


def test_config_is_frozen():
    with pytest.raises(Exception, match="frozen"):
        ClassificationConfig().lr = 1


def test_notebook_config_takes_parameters_and_refuses_others():
    import dmtkit

    namespace = {"seed": 4, "lr": "1e-2", "dmtkit": dmtkit, "_hidden": 1, "In": [], "output_dir": None}
    assert notebook_config(namespace).seed == 4
    namespace["mine"] = 3  # a variable of a later cell, when the cell is run again
    assert notebook_config(namespace).lr == 0.01
    with pytest.raises(ConfigError, match="splt"):
        notebook_config({"seed": 4, "splt": 2})
