# Cross-building for 64-bit ARM Linux, as test/long/neon.sh does.  The libraries are those of Debian's
# arm64 packages, unpacked in HONE_ARM64_ROOT (an environment variable).
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
set(ENV{PKG_CONFIG_SYSROOT_DIR} $ENV{HONE_ARM64_ROOT})
set(ENV{PKG_CONFIG_LIBDIR} $ENV{HONE_ARM64_ROOT}/usr/lib/aarch64-linux-gnu/pkgconfig)
set(CMAKE_FIND_ROOT_PATH $ENV{HONE_ARM64_ROOT} /usr/aarch64-linux-gnu)
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
