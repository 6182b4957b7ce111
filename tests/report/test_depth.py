"""The figures of instruments' tables by depth."""

import itertools
import math

import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.colors import to_rgba

import normscope as ns
from normscope.errors import InputError
from normscope.report.depth.layers import INFINITE, MISSING, ZERO
from normscope.report.depth.moments import _COLORS
from normscope.report.plots import VERMILION

pytestmark = pytest.mark.filterwarnings("error")


def spectrum(rows):
    """A table of spectra, from (layer, λ_min, λ_max, bound)."""
    return pd.DataFrame(rows, columns=["layer", "lambda_min", "lambda_max", "lr_bound"])


def moments(powers, **changes):
    """A table of moments, from layer → the powers of its channels, half of each in the mean's square."""
    rows = [
        {
            "layer": layer,
            "channel": channel,
            "mean": math.sqrt(power / 2),
            "variance": power / 2,
            "power": power,
        }
        for layer, of_layer in powers.items()
        for channel, power in enumerate(of_layer)
    ]
    return pd.DataFrame(rows).astype({"channel": "Int64"}).assign(**changes)


def points(panel, marker):
    """The places of the full markers of one kind, as (value, row)."""
    lines = [line for line in panel.lines if line.get_marker() == marker and line.get_fillstyle() == "full"]
    return [tuple(place) for line in lines for place in line.get_xydata().tolist()]


def at_edges(panel):
    """The markers at the edges, as (edge in units of the panel, row, marker)."""
    lines = [line for line in panel.lines if line.get_transform() == panel.get_yaxis_transform()]
    return sorted((x, y, line.get_marker()) for line in lines for x, y in line.get_xydata().tolist())


def legend(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def named(panel):
    return [label.get_text() for label in panel.get_yticklabels()]


def colors(panel, row, cells):
    """The colours of a row of a heat map, read in the middle of each of its cells."""
    image = panel.images[0].get_array()[row]
    return image[((np.arange(cells) + 0.5) * len(image) / cells).astype(int)]


class TestSpectra:
    def test_are_drawn_by_depth_in_the_tables_order(self):
        figure = ns.plot(spectrum([("b", 0.1, 10.0, 0.2), ("a", 0.2, 20.0, 0.1)]))
        eigenvalues, bound = figure.axes
        assert points(eigenvalues, ">") == [(10.0, 0), (20.0, 1)]
        assert points(eigenvalues, "<") == [(0.1, 0), (0.2, 1)]
        assert points(bound, "o") == [(0.2, 0), (0.1, 1)]
        assert (named(eigenvalues), named(bound)) == (["b", "a"], ["", ""])
        assert eigenvalues.get_ylim() == bound.get_ylim() == (1.5, -0.5)  # the first is at the top

    def test_have_logarithmic_axes_with_units_and_the_bound_says_of_what(self):
        eigenvalues, bound = ns.plot(spectrum([("a", 0.1, 1.0, 0.1)])).axes
        assert [panel.get_xscale() for panel in (eigenvalues, bound)] == ["log", "log"]
        assert "[input power]" in eigenvalues.get_xlabel()
        assert r"2/(M\lambda_{\max})" in bound.get_xlabel()
        assert "[learning rate]" in bound.get_xlabel()
        assert "½ · squared error of that layer alone" in bound.get_title()

    def test_mark_zero_infinite_and_missing_numbers_at_the_edges_and_say_so(self):
        rows = [
            ("zero", 0.0, 0.0, math.inf),
            ("few", 0.0, 1.0, 0.1),
            ("diverged", 1.0, math.inf, 0.0),
            ("lost", math.nan, math.nan, math.nan),
        ]
        figure = ns.plot(spectrum(rows))
        eigenvalues, bound = figure.axes
        assert at_edges(eigenvalues) == [
            (0.0, 0.0, "<"), (0.0, 0.0, ">"), (0.0, 1.0, "<"), (1.0, 2.0, ">"), (1.0, 3.0, "x"), (1.0, 3.0, "x"),
        ]  # fmt: skip
        assert at_edges(bound) == [(0.0, 2.0, "o"), (1.0, 0.0, "o"), (1.0, 3.0, "x")]
        assert legend(figure)[2:] == [ZERO, INFINITE, MISSING]
        figure.draw_without_rendering()

    def test_say_nothing_of_edges_where_all_numbers_are_inside(self):
        figure = ns.plot(spectrum([("a", 0.1, 1.0, 0.1)]))
        assert legend(figure) == [r"$\lambda_{\max}(R)$", r"$\lambda_{\min}(R)$"]

    @pytest.mark.parametrize("value", [0.0, math.inf, math.nan])
    def test_are_drawn_where_no_number_is_inside(self, value):
        ns.plot(spectrum([("a", value, value, value)])).draw_without_rendering()

    def test_of_a_layer_in_groups_show_every_group_and_a_line_through_the_extremes(self):
        rows = [("a", 1.0, 2.0, 1.0), ("a", 0.5, 4.0, 0.5), ("b", 1.0, 3.0, 0.7)]
        eigenvalues, bound = ns.plot(spectrum(rows).assign(group=[0, 1, 0])).axes
        assert points(eigenvalues, ">") == [(2.0, 0), (4.0, 0), (3.0, 1)]
        lines = [line for line in (*eigenvalues.lines, *bound.lines) if line.get_marker() == "None"]
        assert [line.get_xdata().tolist() for line in lines] == [[4.0, 3.0], [0.5, 1.0], [0.5, 0.7]]

    def test_of_a_sampler_show_steps_spread_over_all_the_later_the_darker(self):
        tables = [spectrum([("a", 0.1, 1.0 + step, 0.1)]).assign(step=step) for step in range(0, 1010, 10)]
        figure = ns.plot(pd.concat(tables))
        eigenvalues, bound = figure.axes
        assert [value for value, _ in points(eigenvalues, ">")] == [1, 251, 501, 751, 1001]
        assert legend(figure)[2:] == ["step 0", "step 250", "step 500", "step 750", "step 1,000"]
        assert "5 of 101 steps" in eigenvalues.get_title()
        drawn = [
            line.get_color() for line in bound.lines if line.get_marker() == "o" and len(line.get_xdata())
        ]
        brightness = [sum(to_rgba(color)[:3]) for color in drawn]
        assert brightness == sorted(brightness, reverse=True)
        assert brightness[-1] == 0

    def test_of_one_step_are_named_by_it(self):
        assert "step 3" in legend(ns.plot(spectrum([("a", 0.1, 1.0, 0.1)]).assign(step=3)))

    def test_of_thousands_of_groups_are_rasterized(self):
        rows = [("a", 0.1, 1.0, 0.1)] * 1000
        dense = [line for line in ns.plot(spectrum(rows)).axes[0].lines if len(line.get_xdata()) == 1000]
        assert len(dense) == 2
        assert all(line.get_rasterized() for line in dense)


class TestMoments:
    def test_are_a_heat_map_of_layer_by_channel_in_the_colours_of_the_scale(self):
        figure = ns.plot(moments({"b": [1.0, 100.0, 10.0], "a": [10.0]}))
        heat, _, bar = figure.axes
        assert named(heat) == ["b", "a"]
        np.testing.assert_allclose(colors(heat, 0, 3), _COLORS([0.0, 1.0, 0.5]))
        np.testing.assert_allclose(colors(heat, 1, 1), _COLORS([0.5]))
        assert "E[y^2]" in bar.get_xlabel()
        assert (bar.get_xscale(), bar.get_xlim()) == ("log", pytest.approx((1, 100)))

    def test_show_the_mean_and_the_standard_deviation_of_all_values_of_a_layer(self):
        values = torch.randn(2, 1000, 3, dtype=torch.float64) * torch.tensor([1.0, 2.0, 5.0]) + torch.tensor(
            [3.0, 0, 1]
        )
        rows = [
            {
                "layer": name,
                "channel": channel,
                "mean": part.mean().item(),
                "variance": part.var(correction=0).item(),
            }
            for name, of_layer in zip("ab", (values[0], -values[1]), strict=True)
            for channel, part in enumerate(of_layer.T)
        ]
        panel = ns.plot(pd.DataFrame(rows).assign(power=1.0)).axes[1]
        assert points(panel, "s") == [
            (pytest.approx(values[0].std(correction=0).item()), 0),
            (pytest.approx(values[1].std(correction=0).item()), 1),
        ]
        assert points(panel, ">") == [(pytest.approx(values[0].mean().item()), 0)]
        assert points(panel, "<") == [(pytest.approx(values[1].mean().item()), 1)]

    def test_show_zero_lost_and_unmeasured_channels_in_colours_of_their_own(self):
        table = moments({"a": [1.0, 0.0, math.nan, math.inf], "b": [10.0]})
        absent = pd.DataFrame(
            [{"layer": "c", "channel": pd.NA, "mean": math.nan, "variance": math.nan, "power": math.nan}]
        )
        figure = ns.plot(pd.concat([table, absent], ignore_index=True))
        heat = figure.axes[0]
        np.testing.assert_allclose(
            colors(heat, 0, 4)[1:], [to_rgba(color) for color in ("black", VERMILION, VERMILION)]
        )
        np.testing.assert_allclose(colors(heat, 2, 1), [to_rgba("#d0d0d0")])
        crosses = [
            place for line in heat.lines for place in line.get_xydata().tolist() if line.get_marker() == "x"
        ]
        assert crosses == [[0.625, 0], [0.875, 0]]
        assert legend(figure)[:3] == ["power NaN or infinite", "power 0", "not measured"]
        assert {MISSING} <= set(legend(figure))

    def test_explain_no_colour_that_does_not_occur(self):
        assert legend(ns.plot(moments({"a": [1.0]}))) == [
            "standard deviation",
            "mean above 0",
            "mean below 0",
        ]

    @pytest.mark.parametrize("channels", [257, 768, 3072])
    def test_do_not_lose_the_most_powerful_of_many_channels(self, channels):
        powers = np.ones(channels)
        powers[channels // 3] = 1e6
        heat = ns.plot(moments({"a": powers})).axes[0]
        cells = colors(heat, 0, 256)
        bright = np.flatnonzero((cells == _COLORS(1.0)).all(1))
        assert bright.tolist() == [channels // 3 * 256 // channels]

    def test_do_not_lose_a_lost_channel_of_many(self):
        powers = np.ones(3072)
        powers[2000] = math.nan
        heat = ns.plot(moments({"a": powers})).axes[0]
        assert (colors(heat, 0, 256) == to_rgba(VERMILION)).all(1).sum() == 1

    def test_say_how_many_channels_a_layer_has(self):
        figure = ns.plot(moments({"a": np.ones(2048), "b": [1.0, 2.0]}))
        figure.draw_without_rendering()
        (right,) = figure.axes[0].child_axes
        assert [label.get_text() for label in right.get_yticklabels()] == ["2,048", "2"]

    def test_span_nine_decades_at_most(self):
        bar = ns.plot(moments({"a": [1e-30, 1.0, 100.0]})).axes[2]
        assert bar.get_xlim() == pytest.approx((1e-7, 100))

    def test_count_a_mean_of_rounding_as_zero(self):
        table = moments({"a": [1.0]}, mean=1e-9, variance=1.0)
        assert at_edges(ns.plot(table).axes[1]) == [(0.0, 0.0, ">")]

    @pytest.mark.parametrize("power", [0.0, math.nan, math.inf])
    def test_are_drawn_where_no_channel_has_a_colour(self, power):
        ns.plot(moments({"a": [power] * 3})).draw_without_rendering()

    def test_of_two_measurements_at_once_are_refused(self):
        table = moments({"a": [1.0, 2.0]})
        with pytest.raises(InputError, match="twice"):
            ns.plot(pd.concat([table, table]))


class TestEveryFigure:
    @pytest.mark.parametrize("count", [5, 150])
    @pytest.mark.parametrize("kind", ["spectrum", "moments"])
    def test_names_layers_without_overlap_and_inside_the_figure(self, kind, count):
        names = [f"base_model.encoder.layers.{place}.attention.output_projection" for place in range(count)]
        table = (
            moments({n: [1.0, 2.0] for n in names})
            if kind == "moments"
            else spectrum([(n, 0.1, 1, 0.1) for n in names])
        )
        figure = ns.plot(table)
        figure.draw_without_rendering()
        boxes = [label.get_window_extent() for label in figure.axes[0].get_yticklabels()]
        assert len(boxes) >= min(count, 40)
        assert all(upper.y0 >= lower.y1 - 1 for upper, lower in itertools.pairwise(boxes))
        assert min(box.x0 for box in boxes) > 0
        assert figure.get_figheight() < 12
        assert all(f".{place}." in label for place, label in list(enumerate(named(figure.axes[0])))[:1])
        few = "" if len(boxes) == count else f"one in {math.ceil(count / len(boxes))} is named"
        assert few in figure.axes[0].get_ylabel()

    @pytest.mark.parametrize("kind", ["spectrum", "moments"])
    def test_shows_a_layers_name_letter_by_letter(self, kind):
        names = ["_a$b$", "c\nd", "<e>&", "漢", ""]
        table = (
            moments({n: [1.0] for n in names})
            if kind == "moments"
            else spectrum([(n, 0.1, 1, 0.1) for n in names])
        )
        figure = ns.plot(table)
        shown = [name.removeprefix("\N{ZERO WIDTH SPACE}") for name in named(figure.axes[0])]
        assert shown == [r"_a\$b\$", r"c\nd", "<e>&", r"\u6f22", "(the model)"]
        figure.draw_without_rendering()

    def test_has_its_legend_and_titles_inside(self):
        table = moments({"a": [1.0, 0.0, math.nan], "b": [1.0]})
        for figure in (ns.plot(table), ns.plot(spectrum([("a", 0.0, math.nan, math.inf)]))):
            figure.draw_without_rendering()
            for artist in (*figure.legends, *(panel.title for panel in figure.axes)):
                box = artist.get_window_extent()
                assert min(box.x0, box.y0) >= 0
                assert box.x1 <= figure.bbox.x1
                assert box.y1 <= figure.bbox.y1

    @pytest.mark.parametrize(
        ("table", "words"),
        [
            (None, "not a NoneType"),
            ([1, 2], "not a list"),
            (pd.DataFrame(), "without columns"),
            (pd.DataFrame({"layer": ["a"], "loss": [1.0]}), "columns 'layer', 'loss'"),
            (pd.DataFrame({number: [0] for number in range(99)}), "0, 1, 2, 3, 4, 5, …"),
            (spectrum([]), "no rows"),
            (spectrum([("a", "b", "c", "d")]), "'lambda_min' does not hold numbers"),
            (spectrum([("a", 0.1, 1.0, 0.1)]).assign(step="first"), "'step' does not hold numbers"),
        ],
    )
    def test_refuses_a_foreign_or_empty_table_in_one_sentence(self, table, words):
        with pytest.raises(InputError, match=r"ns\.plot draws a table of") as refusal:
            ns.plot(table)
        assert words in str(refusal.value)
        assert "\n" not in str(refusal.value)

    def test_does_not_change_its_table(self):
        table = spectrum([("a", 1, 2, 3)])
        before = table.copy()
        ns.plot(table)
        pd.testing.assert_frame_equal(table, before)

    def test_takes_what_the_instruments_return(self):
        model, x = ns.networks.lenet(norm="batch"), torch.randn(8, 1, 32, 32)
        with ns.probes.SpectrumSampler(model, every=1, layers=["conv1"]) as sampler:
            model(x)
            model(2 * x)
        first, again = sampler.table()["lambda_max"]
        assert [value for value, _ in points(ns.plot(sampler.table()).axes[0], ">")] == [first, again]
        found = ns.probes.spectrum(model, x)
        assert [value for value, _ in points(ns.plot(found).axes[0], ">")] == found["lambda_max"].tolist()
        assert named(ns.plot(ns.probes.moments(model, x)).axes[0]) == [
            "conv1",
            "norm1",
            "conv2",
            "norm2",
            "fc",
        ]
        assert len(ns.plot(found.iloc[:1]).axes) == 2
