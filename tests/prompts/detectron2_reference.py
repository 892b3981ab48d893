"""Faster R-CNN R50-FPN in detectron2's names and conventions, as plain functions after its documentation.

Slow and simple on purpose: the other half of a differential test.
"""

import itertools
import math

import torch
import torchvision
from torch.nn import functional as F

# Inputs reach -140, and boxes must neither vanish nor be all alike.
GAINS = {
    "backbone.bottom_up.stem.conv1": 0.01,
    "proposal_generator.rpn_head.anchor_deltas": 0.02,
    "roi_heads.box_predictor.bbox_pred": 0.2,
    "roi_heads.box_predictor.cls_score": 3.0,
}
BLOCKS = {2: 3, 3: 4, 4: 6, 5: 3}


def shapes():
    """Every tensor of such a checkpoint for one class, with its shape."""

    def norm(name, channels):
        return {
            f"{name}.norm.{key}": (channels,) for key in ("weight", "bias", "running_mean", "running_var")
        }

    found = {
        "backbone.bottom_up.stem.conv1.weight": (64, 3, 7, 7),
        **norm("backbone.bottom_up.stem.conv1", 64),
    }
    before = 64
    for stage, blocks in BLOCKS.items():
        narrow, wide = 16 * 2**stage, 64 * 2**stage
        for block in range(blocks):
            name = f"backbone.bottom_up.res{stage}.{block}"
            convs = {
                "conv1": (narrow, before, 1, 1),
                "conv2": (narrow, narrow, 3, 3),
                "conv3": (wide, narrow, 1, 1),
            }
            if block == 0:
                convs["shortcut"] = (wide, before, 1, 1)
            for conv, shape in convs.items():
                found |= {f"{name}.{conv}.weight": shape, **norm(f"{name}.{conv}", shape[0])}
            before = wide
        found |= {
            f"backbone.fpn_lateral{stage}.weight": (256, wide, 1, 1),
            f"backbone.fpn_lateral{stage}.bias": (256,),
        }
        found |= {
            f"backbone.fpn_output{stage}.weight": (256, 256, 3, 3),
            f"backbone.fpn_output{stage}.bias": (256,),
        }
    head = "proposal_generator.rpn_head"
    for name, outputs, kernel in (("conv", 256, 3), ("objectness_logits", 3, 1), ("anchor_deltas", 12, 1)):
        found |= {f"{head}.{name}.weight": (outputs, 256, kernel, kernel), f"{head}.{name}.bias": (outputs,)}
    layers = {"box_head.fc1": (1024, 256 * 49), "box_head.fc2": (1024, 1024)}
    layers |= {"box_predictor.cls_score": (2, 1024), "box_predictor.bbox_pred": (4, 1024)}
    for name, (outputs, inputs) in layers.items():
        found |= {f"roi_heads.{name}.weight": (outputs, inputs), f"roi_heads.{name}.bias": (outputs,)}
    return found


def random_state(seed=0):
    """Random weights whose activations neither die nor explode, and whose boxes differ in confidence."""
    generator = torch.Generator().manual_seed(seed)
    state = {}
    for name, shape in shapes().items():
        noise = torch.randn(shape, generator=generator)
        if name.endswith("running_var") or (".norm." in name and name.endswith("weight")):
            state[name] = 1 + 0.1 * noise.abs()
        elif len(shape) == 1:
            state[name] = 0.1 * noise
        else:
            state[name] = noise / math.prod(shape[1:]) ** 0.5
    for name in state:
        if name.endswith("conv3.norm.weight"):
            state[name] *= 0.25  # sums of residuals grow from block to block
    for part, factor in GAINS.items():
        state[f"{part}.weight"] *= factor
    return state


def forward(state, raw, stride_in_1x1, most):
    """Boxes `[n, 4]` and scores `[n]` of a raw score map `[H, W]`."""
    height, width = raw.shape
    mean = torch.tensor([103.53, 116.28, 123.675])[:, None, None]
    image = F.pad(raw.expand(3, -1, -1) - mean, (0, -width % 32, 0, -height % 32))[None]
    levels = pyramid(state, image, stride_in_1x1)
    proposals = propose(state, levels, (height, width), most)
    pooled = pool(levels, proposals).flatten(1)
    for name in ("fc1", "fc2"):
        pooled = F.relu(linear(state, f"roi_heads.box_head.{name}", pooled))
    scores = linear(state, "roi_heads.box_predictor.cls_score", pooled).softmax(1)[:, 0]  # background is last
    deltas = linear(state, "roi_heads.box_predictor.bbox_pred", pooled)
    boxes = clip(apply_deltas(proposals, deltas, (10, 10, 5, 5)), (height, width))
    boxes, scores = boxes[scores > 0.05], scores[scores > 0.05]
    keep = torchvision.ops.nms(boxes, scores, 0.5)[:100]
    return boxes[keep], scores[keep]


def linear(state, name, x):
    return F.linear(x, state[f"{name}.weight"], state[f"{name}.bias"])


def conv(state, name, x, stride=1, padding=0):
    x = F.conv2d(x, state[f"{name}.weight"], state.get(f"{name}.bias"), stride, padding)
    if f"{name}.norm.weight" not in state:
        return x
    scale = state[f"{name}.norm.weight"] / (state[f"{name}.norm.running_var"] + 1e-5).sqrt()
    shift = state[f"{name}.norm.bias"] - state[f"{name}.norm.running_mean"] * scale
    return x * scale[:, None, None] + shift[:, None, None]


def pyramid(state, x, stride_in_1x1):
    """Levels p2 to p6, fine to coarse."""
    x = F.max_pool2d(F.relu(conv(state, "backbone.bottom_up.stem.conv1", x, 2, 3)), 3, 2, 1)
    stages = []
    for stage, blocks in BLOCKS.items():
        for block in range(blocks):
            name = f"backbone.bottom_up.res{stage}.{block}"
            stride = 2 if block == 0 and stage > 2 else 1
            first, second = (stride, 1) if stride_in_1x1 else (1, stride)
            y = F.relu(conv(state, f"{name}.conv1", x, first))
            y = F.relu(conv(state, f"{name}.conv2", y, second, 1))
            y = conv(state, f"{name}.conv3", y)
            x = F.relu(y + (conv(state, f"{name}.shortcut", x, stride) if block == 0 else x))
        stages.append(x)
    results, above = [], None
    for stage, x in zip((5, 4, 3, 2), reversed(stages), strict=True):
        side = conv(state, f"backbone.fpn_lateral{stage}", x)
        above = side if above is None else side + F.interpolate(above, scale_factor=2, mode="nearest")
        results.insert(0, conv(state, f"backbone.fpn_output{stage}", above, 1, 1))
    return [*results, F.max_pool2d(results[-1], 1, 2)]


def propose(state, levels, size, most):
    boxes, logits, owner = [], [], []
    for index, level in enumerate(levels):
        stride = 4 * 2**index
        hidden = F.relu(conv(state, "proposal_generator.rpn_head.conv", level, 1, 1))
        objectness = conv(state, "proposal_generator.rpn_head.objectness_logits", hidden)[0]
        deltas = conv(state, "proposal_generator.rpn_head.anchor_deltas", hidden)[0]
        rows, columns = level.shape[-2:]
        anchors = [
            anchor(column * stride, row * stride, 8 * stride, ratio)
            for row, column, ratio in itertools.product(range(rows), range(columns), (0.5, 1.0, 2.0))
        ]
        deltas = deltas.view(3, 4, rows, columns).permute(2, 3, 0, 1).reshape(-1, 4)
        flat = objectness.permute(1, 2, 0).reshape(-1)
        best = flat.topk(min(1000, len(flat)))
        boxes.append(clip(apply_deltas(torch.tensor(anchors), deltas, (1, 1, 1, 1))[best.indices], size))
        logits.append(best.values)
        owner.append(torch.full_like(best.indices, index))
    boxes, logits, owner = torch.cat(boxes), torch.cat(logits), torch.cat(owner)
    solid = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
    boxes, logits, owner = boxes[solid], logits[solid], owner[solid]
    kept = [(owner == index).nonzero()[:, 0] for index in range(5)]
    kept = torch.cat([each[torchvision.ops.nms(boxes[each], logits[each], 0.7)] for each in kept])
    return boxes[kept[logits[kept].argsort(descending=True)[:most]]]


def anchor(x, y, side, ratio):
    width = side / ratio**0.5
    height = ratio * width
    return [x - width / 2, y - height / 2, x + width / 2, y + height / 2]


def apply_deltas(boxes, deltas, weights):
    size = boxes[:, 2:] - boxes[:, :2]
    centre = boxes[:, :2] + 0.5 * size
    dx, dy, dw, dh = (deltas / torch.tensor(weights)).unbind(1)
    centre = centre + torch.stack([dx, dy], 1) * size
    size = size * torch.stack([dw, dh], 1).clamp(max=torch.tensor(1000 / 16).log().item()).exp()
    return torch.cat([centre - size / 2, centre + size / 2], 1)


def clip(boxes, size):
    limit = torch.tensor([size[1], size[0]]).repeat(2)
    return boxes.clamp(min=0).minimum(limit)


def pool(levels, boxes):
    """RoIAlign (He et al., ICCV 2017) with pixel centres at 0.5, sample by sample."""
    crops = []
    for x0, y0, x1, y1 in boxes.tolist():
        area = (x1 - x0) * (y1 - y0)
        index = min(max(int(torch.tensor(area**0.5 / 224 + 1e-8).log2().add(4).floor()), 2), 5) - 2
        level, scale = levels[index][0], 1 / (4 * 2**index)
        left, top, right, bottom = (value * scale - 0.5 for value in (x0, y0, x1, y1))
        across, down = (max(1, -(-(b - a) // 7)) for a, b in ((left, right), (top, bottom)))
        xs = left + (torch.arange(7 * int(across)) + 0.5) * (right - left) / (7 * across)
        ys = top + (torch.arange(7 * int(down)) + 0.5) * (bottom - top) / (7 * down)
        rows, columns = level.shape[-2:]
        # Up to one cell outside the nearest cell counts, as in the original.
        grid = torch.stack(
            [
                (xs.clamp(0, columns - 1) + 0.5)[None, :].expand(len(ys), -1) * 2 / columns - 1,
                (ys.clamp(0, rows - 1) + 0.5)[:, None].expand(-1, len(xs)) * 2 / rows - 1,
            ],
            -1,
        )
        sampled = F.grid_sample(level[None], grid[None], align_corners=False)
        crops.append(F.avg_pool2d(sampled, (int(down), int(across)))[0])
    return torch.stack(crops)
