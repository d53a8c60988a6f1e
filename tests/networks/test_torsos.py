"""Encoders and MLPs: shapes, initialisation, and what they compute."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from envs_jax.spaces import ACTION_MASK, PRIVILEGED
from rljax.core.errors import UserError
from rljax.networks.torsos import CNN, MLP, Dense, Encoder, max_pool, windows

KEY = jax.random.key(0)


def shapes(module, x):
    """Output shape and parameter shapes, without computing either."""
    output, variables = jax.eval_shape(lambda: module.init_with_output(KEY, x))
    return output.shape, jax.tree.map(lambda leaf: leaf.shape, variables["params"])


@pytest.mark.parametrize(("inputs", "units"), [(6, 6), (4, 9), (9, 4)])
def test_dense_is_orthogonal(inputs, units):
    params = Dense(units, scale=0.7).init(KEY, jnp.zeros((1, inputs)))["params"]
    kernel = np.asarray(params["kernel"])
    product = kernel.T @ kernel if inputs >= units else kernel @ kernel.T
    np.testing.assert_allclose(product, 0.49 * np.eye(min(inputs, units)), atol=1e-6)
    np.testing.assert_array_equal(params["bias"], 0)


def test_dense_takes_any_batch_axes():
    x = jax.random.normal(KEY, (3, 5, 4))
    dense = Dense(2)
    params = dense.init(KEY, x)
    kernel = params["params"]["kernel"]
    np.testing.assert_allclose(dense.apply(params, x), np.einsum("tbn,nm->tbm", x, kernel), 1e-5)
    assert dense.apply(params, x[0, 0]).shape == (2,)


@pytest.mark.parametrize("layer_norm", ["none", "before", "after"])
def test_mlp(layer_norm):
    x = jax.random.normal(KEY, (7, 4))
    mlp = MLP((8, 6), "tanh", layer_norm)
    params = mlp.init(KEY, x)
    params = jax.tree.map(lambda p: p + 0.1, params)  # biases and scales that show
    expected = np.asarray(x, np.float64)
    for i in range(2):
        dense = params["params"][f"Dense_{i}"]
        expected = expected @ np.asarray(dense["kernel"]) + np.asarray(dense["bias"])
        if layer_norm == "after":
            expected = np.tanh(expected)
        if layer_norm != "none":
            norm = params["params"][f"LayerNorm_{i}"]
            expected = expected - expected.mean(-1, keepdims=True)
            expected = expected / np.sqrt(expected.var(-1, keepdims=True) + 1e-6)
            expected = expected * np.asarray(norm["scale"]) + np.asarray(norm["bias"])
        if layer_norm != "after":
            expected = np.tanh(expected)
    np.testing.assert_allclose(mlp.apply(params, x), expected, atol=1e-5)


@pytest.mark.parametrize("activation", ["tanh", "relu", "elu", "silu", "gelu"])
def test_every_activation_has_a_module(activation):
    assert shapes(MLP((3,), activation), jnp.zeros((2, 4)))[0] == (2, 3)


@pytest.mark.parametrize(
    ("kind", "picture", "features"),
    [("small", (10, 10, 4), 8 * 8 * 16), ("image", (84, 84, 4), 7 * 7 * 64)],
)
def test_convolutions(kind, picture, features):
    output, params = shapes(CNN(kind, "relu"), jnp.zeros((2, 3, *picture)))
    assert output == (2, 3, features)
    first = params["Dense_0"]["kernel"]
    assert first == ((3 * 3 * 4, 16) if kind == "small" else (8 * 8 * 4, 32))
    assert "MLP_0" not in params
    output, params = shapes(CNN(kind, "relu", sizes=(5, 4)), jnp.zeros((2, 3, *picture)))
    assert output == (2, 3, 4) and params["MLP_0"]["Dense_0"]["kernel"] == (features, 5)


def test_the_depth_backbone_is_that_of_extreme_parkour():
    images = jnp.zeros((2, 3, 58, 87, 2))
    output, params = shapes(CNN("depth", "elu"), images)
    assert output == (2, 3, 32)
    kernels = [layer["kernel"] for layer in (params["Dense_0"], params["Dense_1"])]
    assert kernels == [(5 * 5 * 2, 32), (3 * 3 * 32, 64)]
    dense = [layer["kernel"] for layer in params["MLP_0"].values()]
    assert dense == [(25 * 39 * 64, 128), (128, 32)]
    assert shapes(CNN("depth", "elu", sizes=()), images)[0] == (2, 3, 25 * 39 * 64)


def test_the_backbone_for_small_depth_images():
    output, params = shapes(CNN("depth_small", "elu"), jnp.zeros((2, 3, 15, 22, 1)))
    assert output == (2, 3, 32)
    kernels = [layer["kernel"] for layer in (params["Dense_0"], params["Dense_1"])]
    assert kernels == [(5 * 5, 16), (3 * 3 * 16, 32)]
    assert params["MLP_0"]["Dense_0"]["kernel"] == (2 * 4 * 32, 128)


def test_the_depth_backbone_computes_what_convolutions_do():
    x = jax.random.normal(KEY, (2, 13, 18, 1))
    cnn = CNN("depth", "elu")
    params = cnn.init(KEY, x)
    params = jax.tree.map(lambda p: p + 0.05, params)  # biases that show
    layers = params["params"]

    def convolve(x, layer, kernel):
        weights = layer["kernel"].reshape(kernel, kernel, x.shape[-1], -1)
        dimensions = ("NHWC", "HWIO", "NHWC")
        result = jax.lax.conv_general_dilated(
            x, weights, (1, 1), "VALID", dimension_numbers=dimensions
        )
        return result + layer["bias"]

    y = convolve(x, layers["Dense_0"], 5)
    y = jax.nn.elu(
        jax.lax.reduce_window(y, -jnp.inf, jax.lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")
    )
    y = jax.nn.elu(convolve(y, layers["Dense_1"], 3)).reshape(2, -1)
    for layer in layers["MLP_0"].values():
        y = jax.nn.elu(y @ layer["kernel"] + layer["bias"])
    np.testing.assert_allclose(cnn.apply(params, x), y, rtol=1e-4, atol=1e-4)


def test_pooling():
    x = jnp.asarray(np.random.default_rng(0).permutation(5 * 6 * 2).reshape(1, 5, 6, 2))
    pooled = np.asarray(max_pool(x, 2))
    expected = np.asarray(x)[:, :4].reshape(1, 2, 2, 3, 2, 2).max((2, 4))  # a row is left over
    np.testing.assert_array_equal(pooled, expected)
    assert max_pool(x, 1) is x


@pytest.mark.parametrize(("kernel", "stride"), [(3, 1), (8, 4), (4, 2), (3, 2)])
def test_products_over_windows_are_convolutions(kernel, stride):
    x = jax.random.normal(KEY, (2, 13, 16, 3))
    weights = jax.random.normal(KEY, (kernel, kernel, 3, 5))
    expected = jax.lax.conv_general_dilated(
        x, weights, (stride, stride), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )
    got = windows(x, kernel, stride) @ weights.reshape(-1, 5)
    np.testing.assert_allclose(got, expected, atol=1e-4)


def test_pictures_that_are_too_small_are_refused_in_one_line():
    net = CNN("image", "relu")
    shapes(net, jnp.zeros((2, 36, 99, 3)))
    with pytest.raises(UserError, match="image: images of 35 x 99 .* too small") as error:
        shapes(net, jnp.zeros((2, 35, 99, 3)))
    assert "\n" not in str(error.value)


def test_convolution_is_applied_to_each_picture():
    x = jax.random.normal(KEY, (2, 3, 5, 5, 1))
    cnn = CNN("small", "relu")
    params = cnn.init(KEY, x)
    whole = cnn.apply(params, x)
    np.testing.assert_allclose(whole[1, 2], cnn.apply(params, x[1, 2]), atol=1e-6)


def test_parts_have_encoders_of_their_own():
    observation = {
        "picture": jnp.zeros((2, 3, 10, 10, 1), jnp.uint8),
        "matrix": jnp.zeros((2, 3, 4, 5)),
        "scalar": jnp.zeros((2, 3)),
        ACTION_MASK: jnp.zeros((2, 3, 6), bool),
    }
    output, params = shapes(Encoder(2, "tanh", "small", (7, 3)), observation)
    assert output == (2, 3, 3 + 8 * 8 * 16 + 3)
    assert set(params) == {"picture_cnn", "matrix", "scalar"}
    assert params["matrix"]["Dense_0"]["kernel"] == (20, 7)
    assert params["scalar"]["Dense_1"]["kernel"] == (7, 3)

    output, params = shapes(Encoder(2, "tanh", "small"), observation)
    assert output == (2, 3, 20 + 8 * 8 * 16 + 1)
    assert set(params) == {"picture_cnn"}


def test_named_parts_have_encoders_of_other_sizes():
    observation = {
        "depth": jnp.zeros((2, 3, 10, 10, 1)),
        "matrix": jnp.zeros((2, 3, 4, 5)),
        "plain": jnp.zeros((2, 3, 6)),
        "scalar": jnp.zeros((2, 3)),
        PRIVILEGED: jnp.zeros((2, 3, 7)),
    }
    encoders = {"matrix": (9, 2), "depth": (11,), "plain": (), PRIVILEGED: (5,)}
    output, params = shapes(Encoder(2, "elu", "small", (4,), encoders=encoders), observation)
    assert output == (2, 3, 11 + 2 + 6 + 4)
    assert set(params) == {"depth_cnn", "matrix", "scalar"}
    assert params["matrix"]["Dense_1"]["kernel"] == (9, 2)
    encoder = Encoder(2, "elu", "small", (4,), privileged=True, encoders=encoders)
    output, params = shapes(encoder, observation)
    assert output == (2, 3, 11 + 2 + 6 + 5 + 4)
    assert params[PRIVILEGED]["Dense_0"]["kernel"] == (7, 5)
    # A named part is encoded where it is the only one, too.
    alone = Encoder(2, "elu", "small", (4,), encoders={"observation": (3,)})
    assert shapes(alone, jnp.zeros((2, 3, 6)))[0] == (2, 3, 3)


def test_an_encoder_of_no_part():
    encoder = Encoder(2, "elu", "small", encoders={"scna": (4,)})
    message = r"network.encoders: .*no part 'scna', only here, scan\. Did you mean 'scan'\?"
    with pytest.raises(UserError, match=message):
        encoder.init(KEY, {"scan": jnp.zeros((1, 1, 3)), "here": jnp.zeros((1, 1, 3))})


def test_parts_are_joined_in_the_order_of_their_names():
    observation = {"b": jnp.ones((1, 1, 2)), "a": jnp.zeros((1, 1, 1)), ACTION_MASK: jnp.ones(3)}
    encoder = Encoder(2, "tanh", "small")
    np.testing.assert_array_equal(encoder.apply({}, observation)[0, 0], [0, 1, 1])


def test_bytes_are_scaled():
    encoder = Encoder(2, "tanh", "small")
    seen = encoder.apply({}, jnp.array([[[0, 51, 255]]], jnp.uint8))
    np.testing.assert_allclose(seen[0, 0], [0, 0.2, 1], rtol=1e-6)
    as_they_are = encoder.apply({}, jnp.array([[[0, 51, 255]]], jnp.int32))
    np.testing.assert_array_equal(as_they_are[0, 0], [0, 51, 255])
