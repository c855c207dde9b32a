"""An RTSP server: GStreamer's, with what tests/rtsp.rs wants served.

Arguments: a port, or 0 for any; an MP4 file with H.264; a user name and a password, or nothing.
Says on its first line which port it has. Ends with its standard input.
"""

import sys
import threading

import gi

for part in ("Gst", "GstRtsp", "GstRtspServer"):
    gi.require_version(part, "1.0")
from gi.repository import GLib, Gst, GstRtsp, GstRtspServer  # noqa: E402

port, clip, *login = sys.argv[1:]
MEDIA = {
    "/door": f'filesrc location="{clip}" ! qtdemux ! h264parse config-interval=-1 ! rtph264pay name=pay0 pt=96',
    "/jpeg": "videotestsrc is-live=true ! jpegenc ! rtpjpegpay name=pay0 pt=26",
}

Gst.init(None)
server = GstRtspServer.RTSPServer()
server.set_address("127.0.0.1")
server.set_service(port)
if login:
    auth = GstRtspServer.RTSPAuth()
    auth.set_supported_methods(GstRtsp.RTSPAuthMethod.DIGEST)
    token = GstRtspServer.RTSPToken()
    token.set_string("media.factory.role", "owner")
    auth.add_digest(*login, token)
    server.set_auth(auth)
for path, launch in MEDIA.items():
    factory = GstRtspServer.RTSPMediaFactory()
    factory.set_launch(f"( {launch} )")
    if login:
        permissions = GstRtspServer.RTSPPermissions()
        for permission in ("access", "construct"):
            permissions.add_permission_for_role("owner", f"media.factory.{permission}", True)
        factory.set_permissions(permissions)
    server.get_mount_points().add_factory(path, factory)
if not server.attach(None):
    sys.exit(f"cannot listen on port {port}")
print(server.get_bound_port(), flush=True)
loop = GLib.MainLoop()
threading.Thread(target=lambda: (sys.stdin.read(), loop.quit()), daemon=True).start()
loop.run()
