"""NF4 as bitsandbytes computes it on the CPU, and losses of a model that transformers saved so.

    nf4.py OUT.jsonl
    nf4.py model FOLDER OUT.jsonl

The first writes rows of `rows`, `cols`, `dtype`, `block`, and hashes: `codes`, `absmax`, `values`
(dequantised, as float32); with double quantisation `offset`, `places`, `nested`, `absmax_again`,
`values_again`. The tensor is numbers() below.

The second makes FOLDER/plain and FOLDER/double, small random Mistrals quantised by bitsandbytes,
and FOLDER/whole, the same in bf16; a row of losses each: `model`, `tokens`, `nll`. The weights are
dequantised by bitsandbytes and everything else is computed in float32.
"""

import sys

import bitsandbytes as bnb
import numpy
import torch
from bitsandbytes import functional
from common import hex64, write_jsonl
from transformers import BitsAndBytesConfig, MistralConfig, MistralForCausalLM

DTYPES = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}


def numbers(n):
    """Every 97th block of 64 is zeros; sizes differ by blocks. Exact in every type but bf16."""
    i = numpy.arange(n, dtype=numpy.uint64)
    h = (i * numpy.uint64(2654435761) + numpy.uint64(12345)) & numpy.uint64(0xFFFFFFFF)
    h = (h ^ (h >> numpy.uint64(15))) * numpy.uint64(2246822519) & numpy.uint64(0xFFFFFFFF)
    h = h >> numpy.uint64(21)
    block = i // numpy.uint64(64)
    x = (h.astype(numpy.float64) - 1024) * 2.0 ** -(12 + (block % numpy.uint64(5)).astype(float))
    x[block % numpy.uint64(97) == 5] = 0
    return torch.from_numpy(x.astype(numpy.float32))


def digest(tensor):
    return hex64(tensor.detach().contiguous().numpy().tobytes())


def dequantised(codes, state, absmax):
    """Blocks run over all elements, as on a GPU. The CPU kernel of dequantize_4bit starts one with
    each row, which is another tensor where rows are no multiple of a block."""
    bytes_ = codes.reshape(-1).long()
    codes_ = torch.stack([bytes_ >> 4, bytes_ & 15], 1).reshape(-1)
    block = torch.arange(codes_.numel()) // state.blocksize
    values = (state.code[codes_] * absmax[block]).to(state.dtype).reshape(state.shape)
    if state.shape[-1] % state.blocksize == 0:
        assert torch.equal(values, functional.dequantize_4bit(codes, state))
    return values.float()


def quantised(rows, cols, dtype, block):
    x = numbers(rows * cols).reshape(rows, cols).to(DTYPES[dtype])
    codes, state = functional.quantize_4bit(x, blocksize=block, quant_type="nf4")
    _, twice = functional.quantize_4bit(
        x, blocksize=block, quant_type="nf4", compress_statistics=True
    )
    again = functional.dequantize_blockwise(twice.absmax, twice.state2) + twice.offset
    return {
        "rows": rows,
        "cols": cols,
        "dtype": dtype,
        "block": block,
        "codes": digest(codes),
        "absmax": digest(state.absmax),
        "values": digest(dequantised(codes, state, state.absmax)),
        "offset": twice.offset.item(),
        "places": digest(twice.absmax),
        "nested": digest(twice.state2.absmax),
        "map": digest(twice.state2.code),
        "absmax_again": digest(again),
        "values_again": digest(dequantised(codes, twice, again)),
    }


def whole_model():
    torch.manual_seed(3)
    config = MistralConfig(
        vocab_size=128,
        hidden_size=64,
        intermediate_size=96,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=32,
        max_position_embeddings=256,
        sliding_window=None,
        initializer_range=0.1,
    )
    return MistralForCausalLM(config).to(torch.bfloat16)


def losses(model, tokens):
    ids = torch.tensor([tokens])
    with torch.no_grad():
        logits = model(ids).logits[0].double()
    nll = -torch.log_softmax(logits, -1)[:-1].gather(1, ids[0, 1:, None])[:, 0]
    return [round(x, 6) for x in nll.tolist()]


def with_weights(folder, model):
    plain = MistralForCausalLM.from_pretrained(f"{folder}/whole", dtype=torch.float32)
    state = plain.state_dict()
    for name, module in model.named_modules():
        if isinstance(module, bnb.nn.Linear4bit):
            codes, quant = module.weight.data, module.weight.quant_state
            absmax = quant.absmax
            if quant.nested:
                absmax = functional.dequantize_blockwise(absmax, quant.state2) + quant.offset
            state[name + ".weight"] = dequantised(codes, quant, absmax)
    plain.load_state_dict(state)
    return plain.eval()


def models(folder, out):
    tokens = [1] + [(i * 37 + 11) % 126 + 2 for i in range(100)]
    rows = []
    whole_model().save_pretrained(f"{folder}/whole")
    for name, double in (("plain", False), ("double", True)):
        config = BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=double,
            bnb_4bit_compute_dtype=torch.bfloat16,
        )
        model = MistralForCausalLM.from_pretrained(
            f"{folder}/whole", quantization_config=config, dtype=torch.bfloat16, device_map="cpu"
        )
        model.save_pretrained(f"{folder}/{name}")
        nll = losses(with_weights(folder, model), tokens)
        rows.append({"model": name, "tokens": tokens, "nll": nll})
    write_jsonl(out, rows)


def main():
    if sys.argv[1] == "model":
        return models(sys.argv[2], sys.argv[3])
    shapes = [(64, 96, 64), (33, 32, 64), (128, 576, 64), (512, 192, 64), (16, 4096, 64)]
    write_jsonl(sys.argv[1], [quantised(r, c, d, b) for r, c, b in shapes for d in DTYPES])


if __name__ == "__main__":
    main()
