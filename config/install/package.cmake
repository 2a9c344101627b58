# SPDX-License-Identifier: MIT
#
# `cpack -G DEB` in the directory of a release build: diplex_VERSION_ARCH.deb, with what Debian asks of a package. Included by
# the CMakeLists.txt at the top.

set(DIPLEX_MAINTAINER "diplex contributors <diplex@example.org>" CACHE STRING "Name and address in the package")

set(CPACK_PACKAGE_NAME diplex)
set(CPACK_PACKAGE_VENDOR "diplex contributors")
set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION})
set(CPACK_PACKAGE_CONTACT ${DIPLEX_MAINTAINER})
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "reverse proxy for Django with gunicorn and uvicorn")
set(CPACK_PACKAGE_DESCRIPTION "diplex listens on one port and sends each request, by its host and path, to
gunicorn (sync views) or uvicorn (async views). It takes requests whole before
a sync worker is touched, queues them at the edge up to the workers there are,
holds them while servers are restarted, and streams what is asynchronous:
WebSockets and server-sent events included.")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS
    OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
set(CPACK_GENERATOR DEB)

set(debian ${PROJECT_SOURCE_DIR}/config/install/debian)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION httpd)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
set(CPACK_DEBIAN_COMPRESSION_TYPE xz)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
# libcurl is loaded when it is first needed, so shlibdeps does not see it; adduser is for machines without systemd-sysusers.
set(CPACK_DEBIAN_PACKAGE_DEPENDS "libcurl4 | libcurl4t64, adduser")
set(CPACK_DEBIAN_PACKAGE_PREDEPENDS "init-system-helpers (>= 1.54~)")
set(CPACK_DEBIAN_PACKAGE_SUGGESTS "prometheus, gunicorn, uvicorn")
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA ${debian}/postinst ${debian}/prerm ${debian}/postrm ${DIPLEX_MADE}/conffiles)

set(conffiles "/etc/diplex/diplex.yaml\n")
if(EXISTS ${PROJECT_SOURCE_DIR}/config/logrotate/diplex)
    string(APPEND conffiles "/etc/logrotate.d/diplex\n")
endif()
file(GENERATE OUTPUT ${DIPLEX_MADE}/conffiles CONTENT "${conffiles}")

# Only a package has these two. CPack installs with a prefix of its own, and a component would make two packages of it.
file(READ ${PROJECT_SOURCE_DIR}/LICENSE license)
string(REGEX REPLACE "^[^\n]*\n\n[^\n]*\n\n" "" license "${license}")
string(STRIP "${license}" license)
string(REGEX REPLACE "\n\n" "\n.\n" license "${license}")
string(REGEX REPLACE "\n" "\n " license "${license}")
configure_file(${debian}/copyright.in ${DIPLEX_MADE}/copyright @ONLY)
configure_file(${debian}/changelog.in ${DIPLEX_MADE}/changelog @ONLY)
set(CPACK_PRE_BUILD_SCRIPTS ${debian}/documents.cmake)
set(CPACK_DIPLEX_MADE ${DIPLEX_MADE})
set(CPACK_DIPLEX_GZIP ${DIPLEX_GZIP})
include(CPack)
