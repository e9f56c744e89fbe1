"""Makes PyTorch's build for CUDA, the only one that the package registry has for Linux, usable without CUDA.

Its libraries want CUDA's (2.5 GB) when they are loaded, though a run on the CPU calls none of them. This writes libraries
of the same names and symbols whose functions do nothing but fail (status 100, "no device"). Two small ones are real.
"""
import glob
import os
import re
import subprocess
import sys
import sysconfig

REAL = ["cuda_runtime", "cuda_cupti"]
VERSIONED = r"lib(cublas|cublasLt|cudnn|cufft|cusparse|cusolver)\.so\.\d+"
PLAIN = {"nccl": "libnccl.so.2", "cusparseLt": "libcusparseLt.so.0", "curand": "libcurand.so.10"}


def symbols(libraries):
    """The undefined symbols of each CUDA library."""
    out = {name: set() for name in PLAIN.values()}
    for lib in libraries:
        text = subprocess.run(["nm", "-D", "--undefined-only", lib], capture_output=True, text=True, check=True).stdout
        for line in text.splitlines():
            name, _, version = line.split()[-1].partition("@")
            if re.fullmatch(VERSIONED, version):
                out.setdefault(version, set()).add(name)
            elif not version:
                for prefix, library in PLAIN.items():
                    if name.startswith(prefix):
                        out[library].add(name)
    return out


def main(folder):
    packages = sysconfig.get_paths()["purelib"]
    torch = os.path.join(packages, "torch", "lib")
    os.makedirs(folder, exist_ok=True)
    if not os.path.exists(os.path.join(torch, "libtorch_cuda.so")):
        return  # a build for the CPU
    for library, names in symbols(glob.glob(os.path.join(torch, "libtorch*.so"))).items():
        source = "".join(f"int {n}(void) {{ return 100; }}\n" for n in sorted(names)) or "int nothing;\n"
        command = ["gcc", "-shared", "-fPIC", "-w", "-Wl,-soname," + library, "-x", "c", "-", "-o", os.path.join(folder, library)]
        script = os.path.join(folder, library + ".map")
        if re.fullmatch(VERSIONED, library):
            with open(script, "w") as f:
                f.write("%s { global: *; };\n" % library)
            command.insert(1, "-Wl,--version-script=" + script)
        subprocess.run(command, input=source, text=True, check=True)
        if os.path.exists(script):
            os.remove(script)
    for name in REAL:
        for path in glob.glob(os.path.join(packages, "nvidia", name, "lib", "*.so.*")):
            link = os.path.join(folder, os.path.basename(path))
            if not os.path.lexists(link):
                os.symlink(path, link)


if __name__ == "__main__":
    main(sys.argv[1])
